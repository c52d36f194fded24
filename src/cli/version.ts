/** The program's name and version, from its package. */
import { readFileSync } from 'node:fs';

/** `slime 1.0.0 (node v20.19.0)`. */
export function versionLine(): string {
	const { name, version } = packageInfo();
	return `${name} ${version} (node ${process.version})`;
}

export function packageInfo(): { name: string; version: string } {
	const info: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
	if (info === null || typeof info !== 'object') throw new Error('package.json holds no object');
	return {
		name: 'name' in info ? String(info.name) : 'slime',
		version: 'version' in info ? String(info.version) : 'unknown',
	};
}
