/** HTTP/2 as numbers and types: frame types, flags, error codes, settings, limits (RFC 9113). Knows nothing of sockets. */

export const FrameType = {
	DATA: 0x0,
	HEADERS: 0x1,
	PRIORITY: 0x2,
	RST_STREAM: 0x3,
	SETTINGS: 0x4,
	PUSH_PROMISE: 0x5,
	PING: 0x6,
	GOAWAY: 0x7,
	WINDOW_UPDATE: 0x8,
	CONTINUATION: 0x9,
} as const;

/** Types above it are those of extensions (RFC 9113 section 5.5). */
export const LAST_FRAME_TYPE = FrameType.CONTINUATION;

export const Flag = {
	ACK: 0x1,
	END_STREAM: 0x1,
	END_HEADERS: 0x4,
	PADDED: 0x8,
	PRIORITY: 0x20,
} as const;

/** RFC 9113 section 7. */
export const ErrorCode = {
	NO_ERROR: 0x0,
	PROTOCOL_ERROR: 0x1,
	INTERNAL_ERROR: 0x2,
	FLOW_CONTROL_ERROR: 0x3,
	SETTINGS_TIMEOUT: 0x4,
	STREAM_CLOSED: 0x5,
	FRAME_SIZE_ERROR: 0x6,
	REFUSED_STREAM: 0x7,
	CANCEL: 0x8,
	COMPRESSION_ERROR: 0x9,
	CONNECT_ERROR: 0xa,
	ENHANCE_YOUR_CALM: 0xb,
	INADEQUATE_SECURITY: 0xc,
	HTTP_1_1_REQUIRED: 0xd,
} as const;

const codeNames = new Map<number, string>(Object.entries(ErrorCode).map(([name, code]) => [code, name]));

/** `CANCEL` for 8; an unknown code in hexadecimal. */
export function errorCodeName(code: number): string {
	return codeNames.get(code) ?? `0x${code.toString(16)}`;
}

/** RFC 9113 section 6.5.2, RFC 8441 section 3. */
export const SettingId = {
	HEADER_TABLE_SIZE: 0x1,
	ENABLE_PUSH: 0x2,
	MAX_CONCURRENT_STREAMS: 0x3,
	INITIAL_WINDOW_SIZE: 0x4,
	MAX_FRAME_SIZE: 0x5,
	MAX_HEADER_LIST_SIZE: 0x6,
	ENABLE_CONNECT_PROTOCOL: 0x8,
} as const;

export const FRAME_HEADER_BYTES = 9;
export const DEFAULT_WINDOW = 65_535;
export const MAX_WINDOW = 0x7fff_ffff;
export const MAX_STREAM_ID = 0x7fff_ffff;
export const DEFAULT_MAX_FRAME_SIZE = 16_384;
export const LARGEST_MAX_FRAME_SIZE = 16_777_215;
export const DEFAULT_HEADER_TABLE_SIZE = 4096;

/** What a client sends before its first frame (RFC 9113 section 3.4). */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * A field section: name, value, name, value … in order, repeats kept, pseudo-header fields first.
 * Names are lower case; values hold one byte a character (latin1).
 */
export type FieldList = string[];

/** A violation that ends the whole connection with GOAWAY (RFC 9113 section 5.4.1). */
export class ConnectionError extends Error {
	readonly code: number;

	constructor(code: number, message: string) {
		super(message);
		this.name = 'ConnectionError';
		this.code = code;
	}
}

/** The peer began a frame or a header block and did not end it in time. */
export class UnfinishedError extends ConnectionError {
	constructor() {
		super(ErrorCode.ENHANCE_YOUR_CALM, 'a frame or a header block does not end');
	}
}

/** A violation that ends one stream with RST_STREAM (RFC 9113 section 5.4.2). */
export class StreamError extends Error {
	readonly code: number;

	constructor(code: number, message: string) {
		super(message);
		this.name = 'StreamError';
		this.code = code;
	}
}
