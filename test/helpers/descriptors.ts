/** File descriptors of another process, on Linux: how many it has, and how many it may have. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

export function descriptorsOf(pid: number | undefined): number {
	assert.ok(pid !== undefined, 'the process has not started');
	return readdirSync(`/proc/${pid}/fd`).length;
}

/** From now on it may open so many more. @returns how many it may have */
export function allowDescriptors(pid: number | undefined, more: number): number {
	const most = descriptorsOf(pid) + more;
	const limited = spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${most}:${most}`], { encoding: 'utf8' });
	assert.equal(limited.status, 0, limited.stderr);
	return most;
}
