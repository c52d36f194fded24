/** Fields whose values are secrets, by name. */

/**
 * Never in a compression table, where another request's field could be guessed against them: not towards agents, hubs or
 * upstreams (RFC 7541 section 7.1.3).
 */
export const SECRET_FIELDS: ReadonlySet<string> = new Set([
	'authorization',
	'cookie',
	'set-cookie',
	'proxy-authorization',
	'slime-app-password',
	'x-api-key',
	'api-key',
]);
