/** SETTINGS of both sides: defaults, validation, wire pairs (RFC 9113 section 6.5, RFC 8441 section 3). Pure. */
import {
	ConnectionError,
	DEFAULT_HEADER_TABLE_SIZE,
	DEFAULT_MAX_FRAME_SIZE,
	DEFAULT_WINDOW,
	ErrorCode,
	LARGEST_MAX_FRAME_SIZE,
	MAX_WINDOW,
	SettingId,
} from './protocol.ts';

export interface Settings {
	headerTableSize: number;
	enablePush: boolean;
	/** Infinity while not announced. */
	maxConcurrentStreams: number;
	initialWindowSize: number;
	maxFrameSize: number;
	/** Bytes as RFC 9113 section 6.5.2 counts them; Infinity while not announced. */
	maxHeaderListSize: number;
	enableConnectProtocol: boolean;
}

/** What holds until a peer says otherwise. */
export function initialSettings(): Settings {
	return {
		headerTableSize: DEFAULT_HEADER_TABLE_SIZE,
		enablePush: true,
		maxConcurrentStreams: Number.POSITIVE_INFINITY,
		initialWindowSize: DEFAULT_WINDOW,
		maxFrameSize: DEFAULT_MAX_FRAME_SIZE,
		maxHeaderListSize: Number.POSITIVE_INFINITY,
		enableConnectProtocol: false,
	};
}

const ids: ReadonlyArray<readonly [keyof Settings, number]> = [
	['headerTableSize', SettingId.HEADER_TABLE_SIZE],
	['enablePush', SettingId.ENABLE_PUSH],
	['maxConcurrentStreams', SettingId.MAX_CONCURRENT_STREAMS],
	['initialWindowSize', SettingId.INITIAL_WINDOW_SIZE],
	['maxFrameSize', SettingId.MAX_FRAME_SIZE],
	['maxHeaderListSize', SettingId.MAX_HEADER_LIST_SIZE],
	['enableConnectProtocol', SettingId.ENABLE_CONNECT_PROTOCOL],
];

/** id, value, id, value … for the keys that are there. */
export function settingPairs(settings: Partial<Settings>): number[] {
	const pairs: number[] = [];
	for (const [key, id] of ids) {
		const value = settings[key];
		if (value !== undefined && value !== Number.POSITIVE_INFINITY) pairs.push(id, Number(value));
	}
	return pairs;
}

/**
 * Applies one setting of the peer; unknown ones are ignored (RFC 9113 section 6.5.2).
 * @param fromServer whether the peer is the server, which may not allow pushes
 * @throws ConnectionError for a value out of its range
 */
export function applySetting(settings: Settings, id: number, value: number, fromServer: boolean): void {
	switch (id) {
		case SettingId.HEADER_TABLE_SIZE:
			settings.headerTableSize = value;
			break;
		case SettingId.ENABLE_PUSH:
			if (value > 1 || (fromServer && value === 1)) throw bad('SETTINGS_ENABLE_PUSH', value);
			settings.enablePush = value === 1;
			break;
		case SettingId.MAX_CONCURRENT_STREAMS:
			settings.maxConcurrentStreams = value;
			break;
		case SettingId.INITIAL_WINDOW_SIZE:
			if (value > MAX_WINDOW) throw bad('SETTINGS_INITIAL_WINDOW_SIZE', value, ErrorCode.FLOW_CONTROL_ERROR);
			settings.initialWindowSize = value;
			break;
		case SettingId.MAX_FRAME_SIZE:
			if (value < DEFAULT_MAX_FRAME_SIZE || value > LARGEST_MAX_FRAME_SIZE) throw bad('SETTINGS_MAX_FRAME_SIZE', value);
			settings.maxFrameSize = value;
			break;
		case SettingId.MAX_HEADER_LIST_SIZE:
			settings.maxHeaderListSize = value;
			break;
		case SettingId.ENABLE_CONNECT_PROTOCOL:
			if (value > 1 || (settings.enableConnectProtocol && value === 0)) {
				throw bad('SETTINGS_ENABLE_CONNECT_PROTOCOL', value);
			}
			settings.enableConnectProtocol = value === 1;
			break;
	}
}

function bad(name: string, value: number, code: number = ErrorCode.PROTOCOL_ERROR): ConnectionError {
	return new ConnectionError(code, `${name} of ${value} is not allowed`);
}
