/**
 * Shardferry as a library: what the command line does, as functions. Settings come first (`loadSettings`); work that
 * takes long is a `Watch`, which is started in a `Session` and continues when this process ends.
 */
export type { IslandChanges, MigrateMode, MigrateResult } from "../contract/migrate.ts";
export type { CopyResult, MoveResult } from "../contract/move.ts";
export type { IslandName } from "../contract/names.ts";
export type { Reached, StepProgress } from "../contract/progress.ts";
export type { FailedMove, RebalanceProgress, RunningMove } from "../contract/rebalance.ts";
export type { Progress } from "../contract/story.ts";
export type { RowDifference, VerifyResult } from "../contract/verify.ts";
export type { WayBackEnd, WayBackResult } from "../contract/way-back.ts";
export type { Leftover, LeftoverKind } from "./cleanup/leftover.ts";
export { loadSettings, type Settings, type SettingsSource } from "./config/settings.ts";
export type { FactorChange, ShardRange } from "./config/values.ts";
export type { Difference } from "./drift/compare.ts";
export type { ComparedShard } from "./drift/read.ts";
export { RefusedError, ShardferryError, UsageError } from "./errors.ts";
export type { IslandLayout, Layout, ShardInfo } from "./layout/read.ts";
export type { ShardStatistics } from "./layout/statistics.ts";
export type { OldCopy, OpenWayBack } from "./layout/ways-back.ts";
export {
  allocate,
  type AllocateHooks,
  type AllocateRequest,
  type AllocateResult,
} from "./operations/allocate.ts";
export {
  type Asking,
  cleanup,
  type CleanupResult,
  type FailedDrop,
  findLeftovers,
  type LeftoverFilter,
} from "./operations/cleanup.ts";
export { copy, type CopyRequest } from "./operations/copy.ts";
export { type Diagnosis, doctor, doctorCopy, doctorMove, type DoctorRequest } from "./operations/doctor.ts";
export {
  type Drift,
  drift,
  type DriftGroup,
  type DriftRequest,
  type ShardFix,
  type UnvalidatedShard,
} from "./operations/drift.ts";
export { factor, type FactorResult, type ShardSelection } from "./operations/factor.ts";
export { type History, history, type HistoryEntry, type HistoryRequest } from "./operations/history.ts";
export { install, type IslandInstallation } from "./operations/install.ts";
export { list } from "./operations/list.ts";
export { migrate, type MigrateRequest, type MigrationPlan, planMigration } from "./operations/migrate.ts";
export { move, type MoveRequest } from "./operations/move.ts";
export { proposeRebalance, rebalance, type RebalanceRequest } from "./operations/rebalance.ts";
export {
  documentOf,
  readPlan,
  type RebalancePlan,
  type RebalanceProposal,
  writePlan,
} from "./operations/rebalance-plan.ts";
export { type AssignedSequence, assignSequences, type SequencesRequest } from "./operations/sequences.ts";
export { attach, status, steer } from "./operations/steer.ts";
export { assignTenants, listTenants, unpinTenants } from "./operations/tenants.ts";
export { type ValidatedKey, validateKeys, type ValidateRequest } from "./operations/validate.ts";
export { verify, type VerifyRequest } from "./operations/verify.ts";
export { finish, rollback, type RollbackRequest } from "./operations/way-back.ts";
export { serve, type ServingWorker } from "./operations/worker.ts";
export { discoverIslands, type Unreachable, UnreachableError } from "./postgres/islands/discover.ts";
export type { Dsn } from "./postgres/islands/dsn.ts";
export { parseDsn } from "./postgres/islands/dsn.ts";
export { type Finding } from "./preflight/finding.ts";
export { planRebalance } from "./rebalance/plan.ts";
export { renderPlan } from "./rebalance/render.ts";
export type { Plan, PlannedMove, PlanOptions, ShardLoad } from "./rebalance/types.ts";
export { type Tenant } from "./tenants/tenant.ts";
export { type Figures, figuresOf, reachedBy } from "./watch/figures.ts";
export { type LagRequest, type ObservedLag, watchLag } from "./watch/lag.ts";
export type { Outcome } from "./watch/outcome.ts";
export { movesOf, rebalanceProgress } from "./watch/rebalance-progress.ts";
export type { RebalanceResult } from "./watch/rebalance-result.ts";
export type { Snapshot } from "./watch/snapshot.ts";
export type { SteeringSignal, Watch } from "./watch/watch.ts";
export type { WorkerHealth } from "./worker/health.ts";
export { type Opening, Session } from "./worker/session.ts";
export type { StepEvent } from "./worker/step-log.ts";
