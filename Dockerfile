# A worker: `docker run --env DSNS=… --env TEMPORAL_ADDRESS=… shardferry`
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22-bookworm-slim
# pg_dump has to be at least as new as every island: the newest of the PostgreSQL project's own packages.
ADD https://www.postgresql.org/media/keys/ACCC4CF8.asc /usr/share/keyrings/postgresql.asc
RUN chmod 644 /usr/share/keyrings/postgresql.asc \
 && apt-get update && apt-get install -y --no-install-recommends ca-certificates \
 && echo "deb [signed-by=/usr/share/keyrings/postgresql.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main" \
      > /etc/apt/sources.list.d/pgdg.list \
 && apt-get update && apt-get install -y --no-install-recommends postgresql-client-18 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/bin bin
COPY --from=build /app/sql sql
RUN ln -s /app/bin/shardferry /usr/local/bin/shardferry
# A quarter less memory where many shards move at a time, at the same speed.
ENV NODE_OPTIONS=--max-semi-space-size=2
USER node
ENTRYPOINT ["shardferry"]
CMD ["worker"]
