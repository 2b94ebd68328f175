/** What must hold, by short names; docs/reliability.md says where each is looked at. */
export const INVARIANTS = {
  oneState: "every point is in one state, and final states are never left",
  accepted: "whatever was answered 'accepted' is in the journal for ever",
  fromSomewhere: "every loss, outcome and point in the journal was sent by somebody",
  lossFixed: "a recorded loss never changes",
  limits: "no limit of a task is exceeded",
  fenced: "no write of an old epoch is applied, and epochs only grow",
  oneLease: "an item has one current lease, a slot has one item, and only a current pilot gets any",
  chain: "the chain of records is unbroken",
  rebuilt: "the state rebuilt from the journal equals the state in memory",
  rules: "the state in memory is what the rules make of the events",
  ends: "once the faults have stopped every task ends in time",
  leak: "once every task has ended no pilot, lease, submission or session is left",
  steering: "steering runs once at a time, when it is due, and is told every point once",
  killed: "what was ended is not granted any more, and its leases are revoked at once",
  accounts: "attempts and interruptions account for every ended lease",
  rounds: "a task has one final state per round, and limits raised after the end start the next",
  durable: "nobody is told what a crash could take back",
  answered: "each message gets the answer that its lease deserves",
  released: "a lease that its pilot lacks is released, and no other",
  expired: "a lease expires by monotonic silence, neither earlier nor later",
  offered: "no slot waits while a point that fits is ready",
  away: "a search stays away from a node that failed it for as long as it should, and no longer",
  gaveUp: "a search pauses itself when it fails alike everywhere, and for nothing else",
  fair: "a slot goes to the smallest share, and runs are served in the order in which they were opened",
  resumed:
    "an evaluation goes on from the newest states of its own point that may be trusted, and they are there",
  kept: "a pilot keeps each result until the server has answered it",
  single: "a pilot starts each lease once, and one at a time in each slot",
  peers: "our own programs never break the protocol, and are not turned away for nothing",
  submissions:
    "a submission starts one job, and no more pilots are submitted than the queue allows",
  failStop: "a server whose journal failed says nothing more",
  sound: "no program throws",
} as const;

export type Invariant = keyof typeof INVARIANTS;

export interface Violation {
  readonly invariant: Invariant;
  readonly text: string;
  /** Simulated time. */
  readonly atMs: number;
}
