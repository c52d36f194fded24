/** What machine an agent runs on, for its hub's operator. The only owner of systeminformation, which it runs in a process of its own. */
import { execFile } from 'node:child_process';
import { arch, hostname, networkInterfaces, release, totalmem } from 'node:os';

export interface MachineDescription {
	hostname: string;
	/** Name and release of the kernel: `linux 6.1.0`. */
	os: string;
	arch: string;
	/** Bytes. */
	memory: number;
	/** MAC addresses of interfaces that are not loopback, bridges or tunnels. */
	macs: string[];
	cpu?: { model: string; cores: number };
	gpus?: Gpu[];
}

export interface Gpu {
	vendor: string;
	model: string;
	/** MiB. */
	vram?: number;
}

export interface HardwareProbe {
	/** A CommonJS module with systeminformation's cpu() and graphics(). */
	readonly library?: string;
	/** Milliseconds. */
	readonly timeLimit?: number;
}

/** Bytes of the description as JSON: it travels in a header field. */
const MAX_BYTES = 4096;
const MAX_ITEMS = 16;
const MAX_TEXT = 128;

/**
 * systeminformation runs nvidia-smi synchronously, which takes seconds on some machines and hangs on broken ones: in this process it
 * would stop every request. Each part is printed as soon as it is known, so that the first one survives a hang of the second.
 */
const PROBE = `
const [, from, name] = process.argv;
const library = require('node:module').createRequire(from)(name);
const part = async (name) => console.log(JSON.stringify({ name, value: await library[name]() }));
part('cpu').catch(() => undefined).then(() => part('graphics')).catch(() => undefined);
`;

/** Never fails: a part that cannot be found out, or not in time, is left out. */
export async function describeMachine(probe: HardwareProbe = {}): Promise<MachineDescription> {
	const parts = await runProbe(probe);
	const cpu = readCpu(parts.get('cpu'));
	const gpus = readGpus(parts.get('graphics'));
	const machine: MachineDescription = {
		hostname: bounded(hostname()),
		os: bounded(`${process.platform} ${release()}`),
		arch: arch(),
		memory: totalmem(),
		macs: macAddresses(),
		...(cpu && { cpu }),
		...(gpus && { gpus }),
	};
	while (Buffer.byteLength(JSON.stringify(machine)) > MAX_BYTES) {
		if ((machine.gpus?.pop() ?? machine.macs.pop()) === undefined) break;
	}
	return machine;
}

function runProbe({ library = 'systeminformation', timeLimit = 5000 }: HardwareProbe): Promise<Map<string, unknown>> {
	return new Promise((resolve) => {
		// Options of this process, a debugger's port among them, are not the child's.
		const { NODE_OPTIONS: _, ...env } = process.env;
		const limits = { timeout: timeLimit, killSignal: 'SIGKILL', windowsHide: true } as const;
		execFile(process.execPath, ['--eval', PROBE, import.meta.url, library], { ...limits, env }, (_error, stdout) => {
			// How it ended does not matter: whole lines are parts that were found out.
			const lines = stdout.split('\n').slice(0, -1);
			resolve(new Map(lines.flatMap(readPart)));
		});
	});
}

function readPart(line: string): [string, unknown][] {
	try {
		const { name, value } = fields(JSON.parse(line));
		return typeof name === 'string' ? [[name, value]] : [];
	} catch {
		// Something the library printed itself.
		return [];
	}
}

function readCpu(value: unknown): MachineDescription['cpu'] {
	const { manufacturer, brand, cores } = fields(value);
	const model = [manufacturer, brand].map(text).filter(Boolean).join(' ');
	return model !== '' && typeof cores === 'number' ? { model: bounded(model), cores } : undefined;
}

function readGpus(value: unknown): Gpu[] | undefined {
	const { controllers } = fields(value);
	if (!Array.isArray(controllers)) return undefined;
	return controllers.slice(0, MAX_ITEMS).map((controller) => {
		const { vendor, model, memoryTotal, vram } = fields(controller);
		// nvidia-smi knows better than the bus does.
		const memory = typeof memoryTotal === 'number' ? memoryTotal : vram;
		return {
			vendor: bounded(text(vendor)),
			model: bounded(text(model)),
			...(typeof memory === 'number' && memory > 0 && { vram: memory }),
		};
	});
}

function macAddresses(): string[] {
	const macs = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
		VIRTUAL.test(name) ? [] : addresses.filter(({ internal }) => !internal).map(({ mac }) => mac),
	);
	return [...new Set(macs)].filter((mac) => mac !== NO_MAC).slice(0, MAX_ITEMS);
}

const NO_MAC = '00:00:00:00:00:00';
/** Interfaces that container engines, hypervisors and VPNs make, by the names they give. */
const VIRTUAL = /^(?:docker|br-|veth|virbr|vnet|cni|flannel|cali|lxc|tun|tap|wg|utun|awdl|llw|zt|tailscale)/;

function fields(value: unknown): Record<string, unknown> {
	return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
	return typeof value === 'string' ? value.trim() : '';
}

function bounded(value: string): string {
	return value.slice(0, MAX_TEXT);
}
