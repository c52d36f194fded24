/**
 * What any program tells of its process, by the names that dashboards know. Only what is cheap to ask: no observer of garbage
 * collections, no list of handles.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Family, Sample } from './families.ts';

const MICROSECONDS = 1e6;

/** @param openFiles how many there are, null where that is not known */
export function processFamilies(openFiles: () => OpenFiles | null): readonly Family[] {
	const started = Date.now() / 1000 - process.uptime();
	const files = (read: (open: OpenFiles) => number | null) => (): Sample[] => {
		const open = openFiles();
		const value = open === null ? null : read(open);
		return value === null ? [] : [{ value }];
	};
	const cpu = (read: (usage: NodeJS.CpuUsage) => number) => () => [{ value: read(process.cpuUsage()) / MICROSECONDS }];
	const memory = (read: (usage: NodeJS.MemoryUsage) => number) => () => [{ value: read(process.memoryUsage()) }];
	return [
		counter(
			'process_cpu_seconds_total',
			'CPU time that the process has used',
			cpu(({ user, system }) => user + system),
		),
		counter(
			'process_cpu_user_seconds_total',
			'CPU time in the program itself',
			cpu(({ user }) => user),
		),
		counter(
			'process_cpu_system_seconds_total',
			'CPU time in the kernel for it',
			cpu(({ system }) => system),
		),
		gauge('process_start_time_seconds', 'When the process was started, since 1970', () => [{ value: started }]),
		gauge(
			'process_resident_memory_bytes',
			'Memory of the process that is in RAM',
			memory(({ rss }) => rss),
		),
		gauge(
			'process_open_fds',
			'Open file descriptors, sockets among them (Linux)',
			files(({ open }) => open),
		),
		gauge(
			'process_max_fds',
			'Most that may be open (Linux)',
			files(({ most }) => most),
		),
		gauge(
			'nodejs_heap_size_total_bytes',
			'Size of the JavaScript heap',
			memory(({ heapTotal }) => heapTotal),
		),
		gauge(
			'nodejs_heap_size_used_bytes',
			'What is in use of it',
			memory(({ heapUsed }) => heapUsed),
		),
		gauge(
			'nodejs_external_memory_bytes',
			'Memory of buffers and other things outside of it',
			memory((m) => m.external),
		),
	];
}

export interface OpenFiles {
	readonly open: number;
	/** Null if there is no limit. */
	readonly most: number | null;
}

/** Null where there is no /proc. */
export async function openFiles(): Promise<OpenFiles | null> {
	if (process.platform !== 'linux') return null;
	const [open, limits] = await Promise.all([readdir('/proc/self/fd'), readFile('/proc/self/limits', 'utf8')]);
	const most = /^Max open files +(\d+)/m.exec(limits)?.[1];
	// Reading the folder opens it.
	return { open: open.length - 1, most: most === undefined ? null : Number(most) };
}

function counter(name: string, help: string, read: () => Iterable<Sample>): Family {
	return { type: 'counter', name, help, labels: [], read };
}

function gauge(name: string, help: string, read: () => Iterable<Sample>): Family {
	return { type: 'gauge', name, help, labels: [], read };
}
