/** The line that `slime version` prints. */
import { name, version } from '../shared/version.ts';

/** `slime 1.0.0 (node v20.19.0)`. */
export function versionLine(): string {
	return `${name} ${version} (node ${process.version})`;
}
