/** What a hub can be told about its access log. Pure. */

/** Every field that a line can have, in order. */
export const ACCESS_LOG_FIELDS = [
	'requestId',
	'traceId',
	'key',
	'address',
	'http',
	'method',
	'upgrade',
	'path',
	'scope',
	'agent',
	'token',
	'attempts',
	'status',
	'outcome',
	'error',
	'requestBytes',
	'responseBytes',
	'queueMs',
	'firstByteMs',
	'totalMs',
] as const;

export type AccessLogField = (typeof ACCESS_LOG_FIELDS)[number];

export interface AccessLogOptions {
	/** The share of requests that get a line, from 0 to 1. */
	readonly sample: number;
	/** Whether those get one in any case that failed: with an error of the hub's own, a response that was cut, or a status from 500 on. */
	readonly errors: boolean;
	/** What a line says, of what is known. */
	readonly fields: readonly AccessLogField[];
}
