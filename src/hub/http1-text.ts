/** Pieces of an HTTP/1.1 response as they stand on the wire. Pure; what is given has passed the rules for fields before. */
import { STATUS_CODES } from 'node:http';

/** Status line and fields, in latin1; `raw` is name, value … */
export function headText(status: number, raw: readonly string[]): string {
	let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
	for (let i = 0; i < raw.length; i += 2) text += `${raw[i]}: ${raw[i + 1]}\r\n`;
	return `${text}\r\n`;
}

/** One chunk in the chunked form (RFC 9112 section 7.1), and what follows it. */
export function chunkOf(chunk: Buffer, after: string): Buffer {
	const size = chunk.length.toString(16);
	const bytes = Buffer.allocUnsafe(size.length + 2 + chunk.length + 2 + after.length);
	let at = bytes.write(size, 'latin1');
	bytes[at++] = 0x0d;
	bytes[at++] = 0x0a;
	at += chunk.copy(bytes, at);
	bytes[at++] = 0x0d;
	bytes[at++] = 0x0a;
	if (after !== '') bytes.write(after, at, 'latin1');
	return bytes;
}

/** The end of a body in the chunked form, with its trailers: name, value … */
export function lastChunk(trailers: readonly string[]): string {
	let text = '0\r\n';
	for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
	return `${text}\r\n`;
}
