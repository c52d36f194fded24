/** Why the program could not do its work, in one line for stderr. */
import { messageOf } from '../shared/errors.ts';

/** Sockets' errors say what happened in letters and numbers; this says what to do. */
export function failureLine(error: unknown): string {
	const code = field(error, 'code');
	if (field(error, 'syscall') === 'listen') return `cannot listen on ${endpoint(error)}: ${listenFault(code)}`;
	if (field(error, 'syscall') === 'getaddrinfo') {
		return `cannot find the host ${field(error, 'hostname')}: write a name that resolves here, or an IP address`;
	}
	// Some of it may be what another program said, which must not move the cursor.
	return messageOf(error)
		.replaceAll(/\s*\n\s*/g, ' ')
		.replaceAll(/\p{C}/gu, '?');
}

/** Whether it is this program's own fault, so that its stack is worth more than its message. */
export function isDefect(error: unknown): boolean {
	const kinds = [TypeError, RangeError, ReferenceError, SyntaxError];
	return kinds.some((kind) => error instanceof kind) && field(error, 'code') === undefined;
}

function listenFault(code: string | undefined): string {
	switch (code) {
		case 'EADDRINUSE':
			return 'the port is in use; stop what uses it or choose another one';
		case 'EACCES':
			return 'permission denied; ports below 1024 are for the system, choose another one';
		case 'EADDRNOTAVAIL':
			return 'this machine has no such address; 0.0.0.0 is every one that it has';
		default:
			return code ?? 'the system refuses';
	}
}

function endpoint(error: unknown): string {
	const address = field(error, 'address') ?? '';
	const port = field(error, 'port');
	if (port === undefined) return address;
	return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function field(error: unknown, name: string): string | undefined {
	if (!(error instanceof Error)) return undefined;
	const value: unknown = Reflect.get(error, name);
	return value === undefined ? undefined : String(value);
}
