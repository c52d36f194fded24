/** Tokens that carry their number, so that whoever reads them sees what is missing or out of order. */

export const TOKEN_MS = 20;
/** Bytes of a token, about what an OpenAI-like event has. */
export const TOKEN_BYTES = 200;

const made: Buffer[] = [];

/** The `number`th token of any stream. */
export function token(number: number): Buffer {
	made[number] ??= Buffer.from(`data: ${String(number).padStart(6, '0')} `.padEnd(TOKEN_BYTES - 2, 'x').concat('\n\n'));
	return made[number];
}
