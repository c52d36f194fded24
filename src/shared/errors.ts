/**
 * The one table of errors that users can see: code, HTTP status, what a client may do about it.
 * Whoever fails throws a SlimeError; the edge (gateway, command line, log) turns it into a status, an exit code or a line, once.
 */

interface ErrorRow {
	/** HTTP status of the answer. */
	readonly status: number;
	/** Whether the same request may succeed a little later; answers then carry Retry-After. */
	readonly retryable: boolean;
	/** The `type` of OpenAI-shaped error bodies. */
	readonly type: string;
	/** What is said when nothing more precise is known. */
	readonly message: string;
}

const row = (status: number, type: string, message: string, retryable = false): ErrorRow => ({
	status,
	type,
	message,
	retryable,
});

const REQUEST = 'invalid_request_error';
const SERVER = 'server_error';

export const ERRORS = {
	bad_request: row(400, REQUEST, 'The request is malformed or ambiguous.'),
	unauthorized: row(401, 'authentication_error', 'The app password is missing or wrong.'),
	scope_denied: row(403, 'permission_error', 'This key may not use that scope.'),
	forbidden: row(403, 'permission_error', 'This may not be asked for from here.'),
	not_found: row(404, REQUEST, 'There is nothing at this path.'),
	method_not_allowed: row(405, REQUEST, 'This method is not served.'),
	request_timeout: row(408, REQUEST, 'The request headers took too long to arrive.'),
	already_connected: row(409, REQUEST, 'This agent has a tunnel to this hub.'),
	headers_too_large: row(431, REQUEST, 'The request headers are too large.'),
	rate_limited: row(429, 'rate_limit_error', 'Too many requests for this key.', true),
	key_busy: row(429, 'rate_limit_error', 'This key has too many requests in progress.', true),
	not_implemented: row(501, REQUEST, 'This protocol upgrade is not served.'),
	upstream_unreachable: row(502, SERVER, 'The upstream could not be reached.', true),
	upstream_protocol: row(502, SERVER, 'The upstream gave an answer that is not valid HTTP.'),
	agent_lost: row(502, SERVER, 'The connection to the agent was lost before the response began.', true),
	no_agent: row(503, SERVER, 'No agent is connected that may serve this request.', true),
	busy: row(503, SERVER, 'All workers are busy.', true),
	queue_full: row(503, SERVER, 'The queue is full.', true),
	queue_timeout: row(503, SERVER, 'No worker became free in time.', true),
	draining: row(503, SERVER, 'The hub is shutting down.', true),
	upstream_timeout: row(504, SERVER, 'The upstream did not answer in time.', true),
	internal: row(500, SERVER, 'The hub failed to handle this request.'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export class SlimeError extends Error {
	readonly code: ErrorCode;
	/** Whole seconds after which the same request will be let in; undefined where nobody can know. */
	readonly retryAfter: number | undefined;

	/**
	 * @param code a row of ERRORS
	 * @param message replaces the row's sentence; it reaches applications, so it never holds a secret
	 */
	constructor(
		code: ErrorCode,
		message: string = ERRORS[code].message,
		options?: ErrorOptions & { readonly retryAfter?: number },
	) {
		super(message, options);
		this.name = 'SlimeError';
		this.code = code;
		this.retryAfter = options?.retryAfter;
	}

	get status(): number {
		return ERRORS[this.code].status;
	}

	get retryable(): boolean {
		return ERRORS[this.code].retryable;
	}
}

/** The body of an error's answer, in the shape that OpenAI clients expect. */
export function errorBody(error: SlimeError): string {
	const { type } = ERRORS[error.code];
	return `${JSON.stringify({ error: { message: error.message, type, code: error.code } })}\n`;
}

/** A mistake in how the program was called or configured: one line for stderr, exit code 2. */
export class UsageError extends Error {
	constructor(message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = 'UsageError';
	}
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
