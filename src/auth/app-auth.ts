/**
 * Whether an application may come in, and by which key. Knows passwords, keys and two header values; nothing of requests.
 * What was presented is looked up by its digest.
 */
import { hash, randomBytes } from 'node:crypto';
import { UsageError } from '../shared/errors.ts';
import { ApiKey, type ApiKeyOptions } from './api-keys.ts';

/**
 * `open`: nothing is asked for. `header`: Slime-App-Password was right. `bearer`: Authorization was right, and being the hub's own
 * it must not travel on.
 */
export interface AppVerdict {
	readonly by: 'open' | 'header' | 'bearer' | 'refused';
	/** Null for the app password, and where nothing is asked for. */
	readonly key: ApiKey | null;
}

export const OPEN: AppVerdict = { by: 'open', key: null };
const REFUSED: AppVerdict = { by: 'refused', key: null };

/** One password or key, with what is to be said of it, so that a request makes nothing new. */
interface Credential {
	readonly header: AppVerdict;
	readonly bearer: AppVerdict;
}

const BEARER = /^bearer +/i;

export interface AppCredentials {
	/** Lets in whoever has it, without limits. */
	readonly appPassword?: string | undefined;
	readonly keys?: readonly ApiKeyOptions[] | undefined;
}

/** What is wrong with such credentials as a whole, and the index of the key that it is said of. */
export function credentialsFault({
	appPassword,
	keys = [],
}: AppCredentials): { index: number; of: 'name' | 'key'; text: string } | undefined {
	for (const [index, { name, key }] of keys.entries()) {
		const before = keys.slice(0, index);
		if (before.some((other) => other.name === name)) return { index, of: 'name', text: `${name} is there already` };
		const same = before.find((other) => other.key === key)?.name;
		if (same !== undefined) return { index, of: 'key', text: `is the same as that of ${same}` };
		if (key === appPassword) return { index, of: 'key', text: 'is the same as the app password' };
	}
	return undefined;
}

export class AppAuth {
	#credentials: ReadonlyMap<string, Credential> = new Map();
	#keys: ReadonlyMap<string, ApiKey> = new Map();
	/** Nobody outside can work out a digest, so how long it takes to look one up tells nothing of the passwords and keys. */
	readonly #salt = randomBytes(32);

	/**
	 * @param credentials none lets everyone in
	 * @throws UsageError for two that are the same
	 */
	constructor(credentials: AppCredentials) {
		this.replace(credentials);
	}

	/**
	 * From now on these. A key of a name that there was keeps what it has in progress and how full its rate's bucket is;
	 * requests that were let in stay.
	 * @throws UsageError for two that are the same; then nothing has changed
	 */
	replace(given: AppCredentials): void {
		const { appPassword, keys = [] } = given;
		const fault = credentialsFault(given);
		if (fault !== undefined) throw new UsageError(`${fault.of} of API key ${fault.index + 1}: ${fault.text}`);
		const named = new Map<string, ApiKey>();
		const credentials = new Map<string, Credential>();
		if (appPassword !== undefined) credentials.set(this.#digest(Buffer.from(appPassword, 'utf8')), credential(null));
		for (const { name, key: text, ...limits } of keys) {
			const known = this.#keys.get(name);
			if (known !== undefined) known.limits = limits;
			const key = known ?? new ApiKey(name, limits);
			named.set(name, key);
			credentials.set(this.#digest(Buffer.from(text, 'utf8')), credential(key));
		}
		this.#keys = named;
		this.#credentials = credentials;
	}

	/** Whether everyone may come in. */
	get open(): boolean {
		return this.#credentials.size === 0;
	}

	/**
	 * Both values as the HTTP parser gave them; either will do. When both are right the key is that of Slime-App-Password, and
	 * the answer is `bearer`: the other would otherwise go on to the upstream.
	 */
	check(slimeAppPassword: string | undefined, authorization: string | undefined): AppVerdict {
		if (this.open) return OPEN;
		const own = slimeAppPassword === undefined ? undefined : this.#find(slimeAppPassword);
		const isBearer = authorization !== undefined && BEARER.test(authorization);
		const bearer = isBearer ? this.#find(authorization.replace(BEARER, '')) : undefined;
		if (bearer !== undefined) return (own ?? bearer).bearer;
		return own === undefined ? REFUSED : own.header;
	}

	#find(given: string): Credential | undefined {
		return this.#credentials.get(this.#digest(fieldBytes(given)));
	}

	#digest(bytes: Buffer): string {
		return hash('sha256', Buffer.concat([this.#salt, bytes]), 'base64');
	}
}

function credential(key: ApiKey | null): Credential {
	return { header: { by: 'header', key }, bearer: { by: 'bearer', key } };
}

/** HTTP parsers hand over a field's bytes as Latin-1; text beyond it was decoded by someone and is encoded again. */
function fieldBytes(value: string): Buffer {
	const bytes = Buffer.from(value, 'latin1');
	return bytes.toString('latin1') === value ? bytes : Buffer.from(value, 'utf8');
}
