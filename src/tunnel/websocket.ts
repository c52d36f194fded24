/**
 * WebSocket's opening handshake as both ends of a tunnel see it (RFC 6455 section 4, RFC 8441 section 5): keys, which belong to one
 * HTTP/1.1 connection each and do not cross the tunnel, and what an answer may choose. Pure.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { FieldList } from '../h2/protocol.ts';

/** The token of Upgrade, and of :protocol. */
export const WEBSOCKET = 'websocket';

/** RFC 6455 section 1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A fresh value of Sec-WebSocket-Key. */
export function newKey(): string {
	return randomBytes(16).toString('base64');
}

/** Whether a value of Sec-WebSocket-Key is the base64 of 16 bytes (RFC 6455 section 4.2.1). */
export function isKey(value: string): boolean {
	return /^[A-Za-z0-9+/]{22}==$/.test(value);
}

/** The Sec-WebSocket-Accept that answers a key (RFC 6455 section 4.2.2). */
export function acceptOf(key: string): string {
	return createHash('sha1').update(`${key}${ACCEPT_GUID}`).digest('base64');
}

/**
 * What an answer chose that was not offered: a client must then fail the connection (RFC 6455 section 4.1, items 5 and 6 of the
 * answer). `offered` and `answered` are name, value …, `offered` in lower case.
 * @returns which field it is, or null
 */
export function unaskedChoice(offered: FieldList, answered: readonly string[]): string | null {
	const protocols = valuesOf(offered, 'sec-websocket-protocol');
	const chosen = valuesOf(answered, 'sec-websocket-protocol');
	if (chosen.length > 1 || chosen.some((protocol) => !protocols.includes(protocol))) return 'Sec-WebSocket-Protocol';
	const extensions = new Set(valuesOf(offered, 'sec-websocket-extensions').map(extensionName));
	const used = valuesOf(answered, 'sec-websocket-extensions').map(extensionName);
	return used.every((name) => extensions.has(name)) ? null : 'Sec-WebSocket-Extensions';
}

/** The elements of a field that is a list, of all its lines (RFC 9110 section 5.6.1). Quoted texts, which may hold commas, are left out. */
function valuesOf(fields: readonly string[], name: string): string[] {
	const elements: string[] = [];
	for (let i = 0; i < fields.length; i += 2) {
		if ((fields[i] as string).toLowerCase() !== name) continue;
		const value = (fields[i + 1] as string).replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
		for (const element of value.split(',')) if (element.trim() !== '') elements.push(element.trim());
	}
	return elements;
}

function extensionName(element: string): string {
	return (element.split(';', 1)[0] as string).trim().toLowerCase();
}
