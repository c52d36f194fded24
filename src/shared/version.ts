/** The program's name and version, from its package. */
import { readFileSync } from 'node:fs';

function packageInfo(): { readonly name: string; readonly version: string } {
	const info: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
	if (info === null || typeof info !== 'object') throw new Error('package.json holds no object');
	return {
		name: 'name' in info ? String(info.name) : 'slime',
		version: 'version' in info ? String(info.version) : 'unknown',
	};
}

export const { name, version } = packageInfo();
