/** Something that a client has asked, from its own point of view. */
export interface Trip {
  session: number;
  text: string;
  askedAt: number;
  /** When the answer to all of it was there; undefined until then. */
  answeredAt?: number;
}

/** Cuts a stream of PostgreSQL's protocol into messages: a letter, the length of the rest, the rest. */
class Messages {
  #rest = Buffer.alloc(0);

  *of(data: Buffer): Generator<{ letter: string; body: Buffer }> {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      // The messages that open a session have no letter; their length is small.
      const at = this.#rest[0] === 0 ? 0 : 1;
      if (this.#rest.length < at + 4) return;
      const end = at + this.#rest.readInt32BE(at);
      if (this.#rest.length < end) return;
      const letter = at === 0 ? "" : String.fromCharCode(this.#rest[0]!);
      const body = this.#rest.subarray(at + 4, end);
      this.#rest = this.#rest.subarray(end);
      yield { letter, body };
    }
  }
}

/** The round trips of the sessions that go through a proxy. */
export class Trips {
  readonly all: Trip[] = [];
  #sessions = 0;

  /** The first trip whose SQL contains a text. */
  find(text: string, from = 0): Trip | undefined {
    return this.all.find((trip) => trip.askedAt >= from && trip.text.includes(text));
  }

  /** Begins to note those of a new session. */
  session(): { asked: (data: Buffer) => void; answered: (data: Buffer) => void } {
    const session = this.#sessions++;
    const [questions, answers] = [new Messages(), new Messages()];
    const open: Trip[] = [];
    let text = "";
    return {
      asked: (data) => {
        for (const { letter, body } of questions.of(data)) {
          if (letter === "Q" || letter === "P") text += body.toString("utf8");
          // A query, or the end of a pipeline of Parse, Bind and Execute; the password; the beginning.
          if (!["Q", "S", "p", ""].includes(letter)) continue;
          const trip: Trip = { session, text, askedAt: performance.now() };
          text = "";
          open.push(trip);
          this.all.push(trip);
        }
      },
      answered: (data) => {
        // That there is no TLS is said without the form of a message.
        if (data.length === 1) return void open.shift();
        // ReadyForQuery, or the server asks for a password.
        for (const { letter } of answers.of(data))
          if (letter === "Z" || letter === "R") {
            const trip = open.shift();
            if (trip) trip.answeredAt = performance.now();
          }
      },
    };
  }
}
