/** What presence takes at most, of its callers and of other processes: a signal that goes beyond is ignored. */

/** The key of a member, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 256;
/** What is told of a member, in bytes of JSON. */
export const MAX_INFO_BYTES = 1024;
/** The name of a topic, in bytes of UTF-8: that of all topics. */
export const MAX_PRESENCE_TOPIC_BYTES = 255;
/** The keys of one topic in one process. */
export const MAX_MEMBERS = 16_384;
/** The processes that are known at a time. */
export const MAX_PROCESSES = 1024;
/** A signal that is sent, unless a single entry is larger; four times that of one that comes. */
export const MAX_SIGNAL_BYTES = 32_768;

/** How often a process says that it is there. */
export const LEASE_MS = 5000;
/** When the second lease is sent after the broker was away: the first may be too early for some. */
export const UP_AGAIN_MS = 1000;
/** For how long one that is silent is taken to be there. */
export const GONE_MS = 15_000;
/** For how long a snapshot waits for processes that do not answer. */
export const SNAPSHOT_MS = 1000;
/** A process whose answer does not come is asked again with its next signal, no sooner than this. */
export const ASK_AGAIN_MS = 1000;
/** In how many leases a change is named, at most: so many may be lost without anyone having to ask. */
export const LEASES_A_CHANGE = 3;
/** Time that passes in one step is no longer than this: a process that was stopped has heard nobody, and nobody is to leave for that. */
export const MAX_STEP_MS = 1000;
