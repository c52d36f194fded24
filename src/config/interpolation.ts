/** `${NAME}` and `${NAME:-default}` in the values of a file, and how mistakes about such values are told without what a variable holds. Pure. */

/** A value that was written with variables. */
export interface Expansion {
	/** As it stands in the file. */
	readonly written: string;
	/** Variables that were asked for. */
	readonly names: readonly string[];
	/** What they hold, which may be a secret. */
	readonly held: readonly string[];
}

/** `expansion` is undefined for a text without variables. */
export type Expanded =
	| { readonly text: string; readonly expansion: Expansion | undefined; readonly fault?: undefined }
	| { readonly fault: string };

const PLACES = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g;
const SHOWN = 100;

/** As a shell does it: `:-` stands in for a variable that is not set or empty. `$${` is `${`, and any other `$` is itself. */
export function expand(written: string, env: NodeJS.ProcessEnv): Expanded {
	if (!written.includes('${')) return { text: written, expansion: undefined };
	const names: string[] = [];
	const held: string[] = [];
	let fault: string | undefined;
	const text = written.replaceAll(PLACES, (place, name: string | undefined, standIn: string | undefined) => {
		if (place === '$${') return '${';
		if (name === undefined) {
			fault ??= '${ begins a variable: write ${NAME} or ${NAME:-default}, or $${ for these two characters';
			return '';
		}
		const value = env[name];
		names.push(name);
		if (value) held.push(value);
		if (value || (value !== undefined && standIn === undefined)) return value;
		if (standIn === undefined) fault ??= `the variable ${name} is not set: set it, or write \${${name}:-default}`;
		return standIn ?? '';
	});
	if (fault !== undefined) return { fault };
	return { text, expansion: names.length === 0 ? undefined : { written, names, held } };
}

/** A sentence about the value, which quotes what stands in the file instead. */
export function withoutHeld(sentence: string, { written, names, held }: Expansion): string {
	const shown = JSON.stringify(written.length > SHOWN ? `${written.slice(0, SHOWN)}…` : written);
	const masked = sentence.replaceAll(/"(?:[^"\\]|\\.)*"/g, () => shown);
	if (!held.some((value) => masked.includes(value))) return masked;
	return `what ${names.map((name) => `\${${name}}`).join(' and ')} stands for is not right here`;
}
