/** Every bound of the system, in one place. Each has a test that reaches it. */
const KIB = 1024;
const MIB = 1024 * KIB;

/** Bounds of the wire between server, pilots and harvesters. */
export const WIRE = {
  /** One WebSocket frame, in bytes; larger ones close the connection with 1009. */
  frameBytesMax: MIB,
  /** Messages in one frame. */
  messagesPerFrameMax: 256,
  /** Nesting of maps and arrays within a frame. */
  depthMax: 16,
  /** Values of all kinds in one frame, so that a small frame cannot become a large object. */
  valuesPerFrameMax: 100_000,
  /** Bytes waiting to be sent to one peer; a peer that reads slower is closed with 1013. */
  sendBufferBytesMax: 8 * MIB,
  pingIntervalMs: 25_000,
  handshakeTimeoutMs: 10_000,
  /** A connection that has not said hello by then is closed. */
  helloTimeoutMs: 10_000,
  beatIntervalMs: 25_000,
  /** Beats are spread by this share, so that pilots do not speak in step. */
  beatJitter: 0.2,
  reconnectDelayMsMin: 500,
  reconnectDelayMsMax: 60_000,
} as const;

/** Bounds of the server. */
export const SERVER = {
  /** Messages waiting for the reactor; above it sockets are paused. */
  inboxItemsMax: 20_000,
  /** A batch is written as soon as the previous one is synced and, under load, at most this often. */
  batchIntervalMs: 2,
  eventsPerBatchMax: 20_000,
  /** Events that wait for the disk; above it the reactor waits too. */
  unsyncedEventsMax: 100_000,
  /** The head file follows the journal at least this often. */
  headIntervalMs: 100,
  /** A snapshot is made when this many events have come since the last one, looked at this often. */
  snapshotEvents: 200_000,
  snapshotIntervalMs: 30_000,
  /** One chunk of a snapshot or a backup. */
  chunkBytesMax: 128 * MIB,
  restBodyBytesMax: 4 * MIB,
  /** Items of one page of a list answer. */
  pageItemsMax: 1_000,
  tasksPerUserActiveMax: 1_000,
  sessionsMax: 20_000,
  /** How often one boot secret may be exchanged for a session token. */
  bootSecretExchangesMax: 20,
  sessionTokenSeconds: 7 * 24 * 3_600,
  leaseSeconds: 600,
  /** Time that a pilot whose socket has closed is kept as a session-less pilot. */
  tickIntervalMs: 500,
  /** Kept of one evaluation's output by the server: first and last part. */
  logHeadBytesMax: 10 * MIB,
  logTailBytesMax: 10 * MIB,
  uploadBytesMax: 2_000 * MIB,
  /** Slower uploads are ended: a minute, and this speed for what was announced. */
  uploadBytesPerSecondMin: 64 * KIB,
  /** Files of leases that are received at a time. */
  leaseFileUploadsMax: 64,
  /** How often blobs that nothing refers to are looked for, and how long one must have been such. */
  blobSweepIntervalMs: 3_600_000,
  blobUnreferencedMs: 24 * 3_600_000,
  /** Points of a search that ended this long ago leave memory, when nobody has asked for them since the last look. */
  endedInMemoryMs: 7 * 24 * 3_600_000,
  endedLookIntervalMs: 600_000,
  /** Searches with more points, or with longer texts of them, stay: reading them back holds up everything else. */
  endedPointsMax: 100_000,
  endedTextBytesMax: 64 * MIB,
  /** Nothing leaves memory while the data directory has less room than this. */
  endedFreeBytesMin: 2_000 * MIB,
  /** Points that are written at a time, between which the server does other things. */
  endedPointsPerWrite: 1_000,
  /** Uploads of output at a time: each is held in memory. */
  logUploadsMax: 32,
  /** Streams of one search's changes that are open at a time, and the least time between two events of one. */
  watchersMax: 500,
  watchIntervalMs: 500,
  watchHeartbeatMs: 15_000,
  /** Attempts and interruptions of one point that are shown, the newest ones. */
  historyEntriesMax: 100,
  /** Registries that one user keeps credentials for, and the length of one password or token. */
  secretsPerUserMax: 100,
  secretBytesMax: 16 * KIB,
  requestTimeoutMs: 60_000,
  headersTimeoutMs: 10_000,
  headerBytesMax: 16 * KIB,
} as const;

/** Bounds of a task. */
export const TASK = {
  attemptsMax: 3,
  /** Interruptions in a row without a newer checkpoint after which a point is given up. */
  interruptionsInRowMax: 10,
  /** Jobs that saw only interruptions, as a multiple of maxEvaluationJobs. */
  interruptedJobsFactor: 10,
  steeringTriesMax: 3,
  steeringTimeoutSeconds: 1_800,
  failFastAttempts: 5,
  failFastNodes: 2,
  /** An image that the only node could not use so often pauses the task. */
  imageFailuresOnOnlyNode: 2,
  nodeDrainLosses: 3,
  /** A task stays away from a node that failed it: so long after the first failure, twice as long after each further one. */
  nodeCooldownMs: 5_000,
  nodeCooldownMsMax: 600_000,
  nodeCooldownsMax: 100_000,
  nodeDrainTasks: 2,
  pointsMax: 10_000_000,
  nParallelEvaluationMax: 100_000,
  searchSpaceBytesMax: MIB,
  hyperparametersMax: 1_000,
  categoriesMax: 10_000,
  pointTextBytesMax: 64 * KIB,
  execBytesMax: 64 * KIB,
  sandboxBytesMax: 10_000_000,
  /** Names and globs of a task's checkpoint files. */
  checkpointNamesMax: 100,
  /** A checkpoint has less than 100 MB: the sum of its files, and its tarball. */
  checkpointBytesMax: 99_999_999,
  /** Checkpoints of one point that the server keeps: the newest, and one to fall back to. */
  checkpointsKept: 2,
  /** Metadata of one point has less than 1 MB. */
  metadataBytesMax: 999_999,
  metricsBytesMax: 500_000_000,
  segmentsMax: 1_000,
  /** Search space of all segments together, as %IN repeats it. */
  segmentSpacesBytesMax: 64 * MIB,
  /** Further forms of slot that a task takes instead of the first. */
  needsAlternativesMax: 16,
  /** Default of the very large loss that is told for points without a loss. */
  penaltyLoss: 1e5,
  penaltyLossMax: 1e30,
  /** A payload that has written no file and used no CPU time for so long is looping: the pilot of PanDA waits 2 h, too. */
  loopingSeconds: 7_200,
  /** A runnable job ends between points when walltime left is below this many seconds. */
  walltimeReserveSeconds: 30,
} as const;

/** Bounds of a pilot. */
export const PILOT = {
  slotsMax: 256,
  outputJsonBytesMax: MIB,
  /** %IN of a steering run: all points of a search. */
  steeringInputBytesMax: 256 * MIB,
  /** Text of %OUT that travels in one message. */
  steeringOutputBytesMax: MIB / 2,
  messageBytesMax: 4 * KIB,
  /** End of the output in which a printed loss is looked for. */
  printedLossBytesMax: MIB,
  logHeadBytesMax: 10 * MIB,
  /** A little less than the server takes, for the line that stands between head and tail. */
  logTailBytesMax: 10 * MIB - KIB,
  /** Output up to this size travels with the result; more is uploaded. */
  inlineLogBytesMax: 16 * KIB,
  memorySampleMs: 2_000,
  /** How often a payload is looked at for files and CPU time; more often where the task allows less than 10 minutes of quiet. */
  loopingSampleMs: 60_000,
  /** CPU time that a payload may use and still count as quiet: this share of the time, and at least so much. */
  loopingCpuShare: 0.001,
  loopingCpuSecondsMin: 0.1,
  /** Files and directories that are looked at, and how deep; a payload with more never counts as looping. */
  loopingEntriesMax: 10_000,
  loopingDepthMax: 32,
  /** The first look comes earlier, so that short evaluations have a figure too. */
  memoryFirstSampleMs: 300,
  /** SIGTERM to SIGKILL at a time-out or stop. */
  killGraceMs: 5_000,
  /** How often a running payload's output file is looked at, and cut when it is long. */
  outputCheckMs: 100,
  /** Processes of one payload that are looked at, parents first. */
  processesPerPayloadMax: 4_096,
  /** Longest wait for killed processes to be gone. */
  killedGoneMs: 5_000,
  /** A failure with less free space than this on the node's scratch is the node's, not the payload's. */
  diskFullBytes: MIB,
  /** Entries of a work directory that are removed within the pilot; larger ones are left to a program. */
  removeEntriesMax: 2_000,
  /** A pilot does not start with less free space on its scratch directory: what one checkpoint may need. */
  scratchBytesMin: 100_000_000,
  /** Clocks of node and server that differ by more keep a pilot from starting; Kerberos has the same bound (RFC 4120). */
  clockOffsetSecondsMax: 300,
  runtimeProbeTimeoutMs: 20_000,
  gpuProbeTimeoutMs: 10_000,
  /** One question to the batch system about the walltime. */
  walltimeProbeTimeoutMs: 10_000,
  /** What is read of the output of a container engine's own commands. */
  engineOutputBytesMax: MIB,
  /** One image from its registry, unpacking included. */
  imagePullTimeoutMs: 1_800_000,
  /** How long a registry that cannot be reached is asked again before an evaluation is given back. */
  imageRetryMs: 300_000,
  /** How long the digest of an image's tag counts; then the registry is asked again. */
  imageResolvedMs: 600_000,
  /** Names of images whose digests are remembered; the oldest goes first. */
  imagesResolvedMax: 1_000,
  /** Images on a node, shared by the pilots of a user; the least recently used that nobody uses goes first. */
  imageCacheBytesMax: 50_000_000_000,
  /** An image stays in use for this long after its last payload: the next one often wants it. */
  imageIdleMs: 60_000,
  /** How often a running pull tells how far it is. */
  imageProgressMs: 10_000,
  /** Manifest of an image; the bound of the OCI distribution specification. */
  imageManifestBytesMax: 4 * MIB,
  registryTimeoutMs: 30_000,
  registryRedirectsMax: 3,
  gpusMax: 64,
  idleSecondsDefault: 300,
  outboxItemsMax: 10_000,
  /** Task specifications kept by a pilot, without search spaces; the oldest goes first. */
  specsMax: 10_000,
  /** From SIGTERM to the end of the pilot: batch systems send SIGKILL 30 s after it. */
  stopDeadlineMs: 20_000,
  /** A session that the server closes for a violation this often, with nothing accepted in between, is not opened again. */
  violationsMax: 3,
  /** One HTTP exchange with the server without any byte moving. */
  httpSilenceMs: 30_000,
  /** Longest wait for a server that cannot be reached before a task's files are given up on. */
  stageTimeoutMs: 300_000,
  /** Task tarballs kept in the scratch directory; the oldest that is not in use goes first. */
  stagedSandboxesMax: 32,
  /** Sentences about one evaluation that are kept with its attempt. */
  warningsMax: 8,
  warningBytesMax: KIB,
  /** From the batch system's SIGTERM to its SIGKILL; and the same at the end of the walltime, as the pilot reckons it. */
  evictionGraceMs: 30_000,
  walltimeGraceMs: 15_000,
  /** After a notice that leaves more time than SIGTERM does: longest wait for results, and what comes after them. */
  noticeStopMsMax: 60_000,
  closeMsMax: 8_000,
  /** A payload that saves checkpoints is asked to end and left alone for a third of the grace time, at most this long. */
  evictedPayloadMsMax: 20_000,
  /** What an evaluation has left is uploaded no longer than this when the pilot must go. */
  evictedUploadMs: 8_000,
  /** Files and directories of one checkpoint, and how deep they may lie. */
  checkpointEntriesMax: 10_000,
  checkpointDepthMax: 32,
  /** Checkpoints that are copied and packed at a time on one node. */
  checkpointPacksMax: 2,
  /** How often files are looked at where the file system tells of no changes. */
  checkpointPollMs: 1_000,
  /** Largest files that are named when a checkpoint is too large. */
  checkpointFilesNamed: 5,
  /** Longest time that one upload of a checkpoint is tried. */
  checkpointUploadMs: 300_000,
  /** Longest time that a result waits for the upload of the evaluation's metadata and metrics. */
  artifactTimeoutMs: 120_000,
  extractedSandboxBytesMax: 100_000_000,
  extractedSandboxFilesMax: 10_000,
  extractedSandboxDepthMax: 32,
} as const;

/** Bounds of JSON written by users, read by protocol/json-text. */
export const USER_JSON = {
  depthMax: 64,
  valuesMax: 1_000_000,
  /** Longest document, unless the reader is told a smaller bound. */
  bytesMax: 16 * MIB,
} as const;

/** Bounds of a harvester. */
export const HARVESTER = {
  submissionsPerReportMax: 256,
  cycleMs: 2_000,
  pilotsPerQueueMax: 100_000,
  submitFailuresToPause: 10,
  neverConnectedToPause: 3,
  /** Raw words or lines that an operator adds to a submission. */
  submitArgumentsMax: 100,
  /** Output of one call of the batch system that is read. */
  commandOutputBytesMax: 64 * MIB,
  /** Answers in a row without a job, after which it has ended; before that it may only not be seen yet. */
  absentAnswersToEnd: 3,
  /** Failed questions in a row double the pause before the next, up to this. */
  pollPauseMsMax: 600_000,
  /** What a local pilot's log may grow to, and what is kept of its end then. */
  pilotLogBytesMax: 10 * MIB,
  pilotLogKeptBytes: MIB,
  /** Submission ids in one message. */
  idsPerMessageMax: 10_000,
  /** End of a job's output that comes with a report or an end; and how many running jobs of a queue have theirs reported. */
  reportedOutputBytesMax: 3_500,
  reportedOutputsMax: 5,
  /** Output of one job that is sent when an operator asks for it. */
  fetchedOutputBytesMax: 256 * KIB,
  /** Time for which a queue is kept for its harvester when the connection is gone, before another one may serve it. */
  handoverMs: 60_000,
} as const;

/** Bounds of what the server keeps and reads for operators. */
export const SITE = {
  /** Ended submissions without a pilot that are kept per queue. */
  failedSubmissionsKept: 5,
  /** Last failed evaluations and interruptions that are kept per queue. */
  failedEvaluationsKept: 20,
  /** Test pilots that are remembered. */
  testsKept: 20,
  /** Harvesters whose connection is gone that are remembered. */
  goneHarvestersKept: 20,
  /** Time without new pilots after a queue's pilot was turned away because its node is drained. */
  turnedAwayPauseMs: 60_000,
  /** Operators who wait for output of a pilot, and how long. */
  outputRequestsMax: 100,
  outputRequestMs: 20_000,
  /** Events of the journal that one question of an operator reads, and groups or lines in its answer. */
  eventsScannedMax: 2_000_000,
  answerRowsMax: 500,
  /** Searches that are named in the answer to why a queue has no work. */
  tasksNamedMax: 5,
} as const;
