export { Client, type ClientOptions, type Run } from "./client.js";
export { type Kind, NotApplied, OnceError } from "./errors.js";
export type { Answer, CheckOptions, Lease, ListOptions, Money, OnceOptions, Outcome, Page, RunOnceRecord, Status } from "./values.js";
