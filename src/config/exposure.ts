/** Who else on this machine can read a configuration's secrets. Says so in sentences for the log, which hold no secret. */
import { openToOthers } from './files.ts';
import { isSecret, secretOf } from './keys.ts';
import type { Entry } from './mistakes.ts';
import { itemsOf } from './values.ts';

/** Whether a key names a file that only its owner should be able to read. */
export function namesPrivateFile(key: string): boolean {
	return secretOf(key) !== undefined || key.endsWith('.tlsKey');
}

/** @param path of the file that the entry names */
export async function exposedFile(key: string, { origin }: Entry, path: string): Promise<string | undefined> {
	const may = await openToOthers(path);
	const shown = origin.expansion?.written ?? path;
	return may && `${origin.where}: ${key}: every user of this machine can ${may} ${shown}; chmod o= it`;
}

/** The configuration's own file is to be changed by few, and to be read by few if it holds a secret. */
export async function exposedConfiguration(
	file: string,
	entries: ReadonlyMap<string, Entry>,
): Promise<string | undefined> {
	const may = await openToOthers(file);
	if (may === 'change') return `${file}: every user of this machine can change it; chmod o= it`;
	const [key, entry] = (may && [...entries].find(([name, one]) => holdsSecret(name, one))) || [];
	if (entry === undefined) return undefined;
	const remedy = 'chmod o= it, or put the secret in a file of its own';
	return `${entry.origin.where}: ${key}: every user of this machine can read it; ${remedy}`;
}

/** Whether a value in the file itself, and no variable, is or has a secret. */
function holdsSecret(key: string, { value, origin, items, heldBy }: Entry): boolean {
	if (origin.source !== 'file' || heldBy !== undefined) return false;
	if (isSecret(key)) return origin.expansion === undefined;
	if (!isAddress(key)) return false;
	return itemsOf(value).some((item, index) => item.includes('@') && (items?.[index] ?? origin).expansion === undefined);
}

/** Whether its values may have a password in them. */
export function isAddress(key: string): boolean {
	return /^agent(?:s\[\d+\])?\.(?:hub|upstream)$/.test(key);
}
