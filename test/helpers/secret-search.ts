/** Searches what was printed and served for secrets, in every form in which a program might write one. */
import { randomBytes } from 'node:crypto';

/** A new one, with characters that URLs, JSON and base64 each write in another way. */
export function newSecret(odd = '+/%&"\\=?'): string {
	return `S-${randomBytes(9).toString('hex')}${odd}${randomBytes(9).toString('hex')}`;
}

/** What a text looks like: plain, in JSON, in a URL, in hexadecimal, and in base64 wherever it begins among other bytes. */
export function formsOf(secret: string): ReadonlyMap<string, string> {
	const bytes = Buffer.from(secret);
	const forms = new Map([
		['plain', secret],
		['JSON', JSON.stringify(secret).slice(1, -1)],
		['JSON in JSON', JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
		['URL', encodeURIComponent(secret)],
		['form', new URLSearchParams({ x: secret }).toString().slice(2)],
		['userinfo', new URL(`http://u:${encodeURIComponent(secret)}@h`).password],
		['hexadecimal', bytes.toString('hex')],
	]);
	for (const before of [0, 1, 2]) {
		const text = Buffer.concat([Buffer.alloc(before), bytes]);
		// Characters that depend on this secret's bytes alone.
		const [from, to] = [Math.ceil((before * 8) / 6), Math.floor((text.length * 8) / 6)];
		forms.set(`base64 behind ${before}`, text.toString('base64').slice(from, to));
		forms.set(`base64url behind ${before}`, text.toString('base64url').slice(from, to));
	}
	return forms;
}

/** Shorter ones may be in any text. */
const LEAST = 8;
const SECRET_VARIABLE = /^SLIME_.*(?:SECRET|PASSWORD|TOKEN|KEY)$/;
const SECRET_FLAG = /^--(?:secret|previous-?secret|app-?password|admin-?token|token|upstream-?token)$/i;

/** What a program is given by variables and flags that it must not print. */
export function secretsGiven(
	args: readonly string[],
	env: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
	const words = args.flatMap((word) => (word.startsWith('--') ? word.split(/=(.*)/s, 2) : [word]));
	const given = [
		...Object.entries(env).filter(([name]) => SECRET_VARIABLE.test(name)),
		...words.flatMap((word, at) => (SECRET_FLAG.test(word) ? [[word, words[at + 1] ?? ''] as const] : [])),
	];
	return Object.fromEntries(given.filter(([, value]) => value.length >= LEAST));
}

export class Captured {
	readonly #texts = new Map<string, string>();

	/** @param source who said it, or to whom */
	add(source: string, text: string): void {
		this.#texts.set(source, (this.#texts.get(source) ?? '') + text);
	}

	get sources(): readonly string[] {
		return [...this.#texts.keys()];
	}

	of(source: string): string {
		return this.#texts.get(source) ?? '';
	}

	/** `name in source, as form`, for each place in which a secret is. */
	find(secrets: Readonly<Record<string, string>>): readonly string[] {
		return Object.entries(secrets).flatMap(([name, secret]) =>
			[...formsOf(secret)].flatMap(([form, text]) =>
				[...this.#texts]
					.filter(([, said]) => said.includes(text))
					.map(([source]) => `${name} in ${source}, as ${form}`),
			),
		);
	}
}
