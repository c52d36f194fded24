/**
 * What a peer may cost us before its connection ends with ENHANCE_YOUR_CALM: one place for the limits that HTTP/2 leaves open
 * (RFC 9113 section 10.5). They are for peers that were authenticated and may be slow: each is far above what an honest one
 * can come to, and low enough that a hostile one takes a small part of one core and a bounded amount of memory.
 */

/** A token bucket: `burst` at once, and `perSecond` in the long run. */
export interface Rate {
	readonly burst: number;
	readonly perSecond: number;
}

/**
 * Streams that end in a reset without having got a response: the peer's RST_STREAM (CVE-2023-44487), or ours for what it did wrong
 * (CVE-2025-8671). Each costs about 10 µs, so that 5,000 a second are 5 % of a core; a hub whose apps all go away comes to
 * some hundreds, because it waits for the answer to a PING before it uses their slots again. A stream that got a response
 * gives one back, so that the busier a connection is, the more of its requests may be cancelled.
 */
export const RESET_BUDGET: Rate = { burst: 20_000, perSecond: 5000 };

/**
 * Frames that carry no part of a message: PING, SETTINGS, PRIORITY, RST_STREAM, GOAWAY, unknown types, their acknowledgements,
 * DATA without bytes or end, and a WINDOW_UPDATE below TINY_INCREMENT. Below 1 µs each. An honest peer sends a PING and a SETTINGS a
 * round trip at most, so that 20,000 a second are reached by none.
 */
export const OVERHEAD_BUDGET: Rate = { burst: 50_000, perSecond: 20_000 };

/**
 * The same for a peer that anybody may be, with thousands of connections at once: a gateway in front whose clients all go away comes
 * to 2,000 cancels at once and 200 a second, beside one for each response that it got.
 */
export const STRANGERS_RESETS: Rate = { burst: 2000, perSecond: 200 };
export const STRANGERS_OVERHEAD: Rate = { burst: 10_000, perSecond: 2000 };

/**
 * Bytes: window updates of at least this are paid for by the bytes that they ask for, and 2^31 of them overflow the window. Smaller
 * ones are free as long as there are no more than two for each DATA frame that the peer was sent.
 */
export const TINY_INCREMENT = 1024;

/**
 * Bytes of answers that wait for the peer to read them: acknowledgements of PING and SETTINGS, resets that it brought about,
 * window updates. 7,700 PINGs, or credit for 300 MB of bodies at the least.
 */
export const UNREAD_ANSWERS = 128 * 1024;

/**
 * Bytes of frames other than DATA that wait to be written; over it a server refuses new streams with REFUSED_STREAM, which an honest
 * client may send elsewhere. It bounds the responses of streams that are over already and that nobody reads.
 */
export const BACKLOG = 1024 * 1024;

/**
 * Milliseconds until the preface, a frame or a header block is complete, DATA excepted. The largest header block that a tunnel
 * accepts, 640 KiB, takes so long at 11 KB/s.
 */
export const UNFINISHED_TIMEOUT = 60_000;

/**
 * Bytes of a header block whose field section is over a limit, which is decoded all the same, that cost as much as one reset: 1,000
 * references to the compression table take about 10 µs.
 */
export const OVERSIZED_BYTES = 1024;

/** Bytes of an extension frame that are told; a larger one is ignored, as all of them are where nobody asks for them. */
export const EXTENSION_PAYLOAD = 1024;

/** Frames of one header block: a field section of the largest size, badly compressed, in frames of the smallest sensible size. */
export const HEADER_BLOCK_FRAMES = 128;

/** Bytes of one header block for each byte of the largest field section: a bad compression may be longer than what it says. */
export const HEADER_BLOCK_FACTOR = 4;
