/**
 * What one decision of the dispatcher costs, few beside many: `npm run build && npm run bench:dispatch`. The same operations, with 1 agent and 10
 * waiting requests and with 1,000 and 10,000, measured in turn; ends with 1 when many cost more than twice of what few do.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Dispatcher, Lease, Member, Ticket, Waiter, WaitOptions } from '../src/hub/dispatcher.ts';
import { seeded } from '../test/helpers/seeded.ts';

const { values } = parseArgs({
	options: { rounds: { type: 'string', default: '15' }, operations: { type: 'string', default: '20000' } },
});
const ROUNDS = Number(values.rounds);
const OPERATIONS = Number(values.operations);
const MOST = 2;

const WORKERS = 4;
const SCOPES = 10;
const CALLERS = 100;
const URGENCIES = 8;
const PATHS = ['/v1/chat/completions', '/v1/embeddings', '/v1/images/generations', '/other'];
const NEVER = 1e9;

const MODULE = new URL('../dist/hub/dispatcher.js', import.meta.url);
if (!existsSync(MODULE)) throw new Error('build first: npm run build');
// As it is shipped: tsx gives every function its name at run time, which costs more than what is measured here.
const shipped: { readonly Dispatcher: typeof Dispatcher } = await import(MODULE.href);

interface Size {
	readonly agents: number;
	readonly waiting: number;
}

const FEW: Size = { agents: 1, waiting: 10 };
const MANY: Size = { agents: 1000, waiting: 10_000 };

/** Somebody who waits, until it has a lease or leaves. */
class Waiting implements Waiter<Member> {
	readonly #scene: Scene;
	ticket: Ticket | undefined;
	/** In the list of all. */
	place: number;

	constructor(scene: Scene, place: number) {
		this.#scene = scene;
		this.place = place;
	}

	granted(lease: Lease<Member>): void {
		this.#scene.granted(this, lease);
	}

	refused(code: string): void {
		if (code !== 'draining') throw new Error(code);
	}
}

/** A hub at which every worker is taken and as many wait as are to, and as many agents again that nobody waits for, all idle. */
class Scene {
	readonly #random = seeded(1);
	readonly #dispatcher: Dispatcher<Member>;
	readonly #leases: Lease<Member>[] = [];
	readonly #waiting: Waiting[] = [];
	readonly #scopes = Array.from({ length: SCOPES }, (_, scope) => `s${scope}`);
	readonly #callers = Array.from({ length: CALLERS }, (_, caller) => `10.0.0.${caller}`);

	constructor({ agents, waiting }: Size) {
		this.#dispatcher = new shipped.Dispatcher<Member>({
			concurrent: 0,
			queue: { max: 2 * waiting, timeout: NEVER, aging: 30_000 },
			standing: { setAsideAfter: 5, slowStart: 10_000 },
		});
		for (let i = 0; i < agents; i++) {
			// A single agent serves all that is asked for; of many, each a part.
			const scopes = agents === 1 ? this.#scopes : [`s${i % SCOPES}`];
			const scopePaths = i % 4 === 3 ? ['/v1/*'] : [];
			this.#dispatcher.join({ key: `taken/${i}`, scopes, scopePaths }).setLimit(WORKERS);
			this.#dispatcher.join({ key: `idle/${i}`, scopes: ['idle'], scopePaths: ['/idle'] }).setLimit(WORKERS);
		}
		for (let i = 0; i < agents * WORKERS; i++) this.#leases.push(this.#acquire(`s${i % SCOPES}`, '/v1/embeddings'));
		while (this.#waiting.length < waiting) this.#wait();
	}

	acquireAndRelease(): void {
		const lease = this.#acquire('idle', '/idle');
		lease.outcome = 'served';
		lease.release();
	}

	/** The end of a request gives its worker to the one whose turn it is; another one comes to wait. */
	waitAndGrant(): void {
		const lease = takeOut(this.#leases, this.#random(this.#leases.length));
		lease.outcome = 'served';
		lease.release();
		this.#wait();
	}

	/** One comes to wait, and any of all leaves. */
	waitAndLeave(): void {
		this.#wait();
		const one = this.#waiting[this.#random(this.#waiting.length)];
		if (one === undefined) return;
		this.#forget(one);
		one.ticket?.leave();
	}

	end(): void {
		this.#dispatcher.refuseAll('draining');
	}

	#acquire(scope: string, path: string): Lease<Member> {
		const lease = this.#dispatcher.acquire({ scope, path, affinity: undefined });
		if (typeof lease === 'string') throw new Error(lease);
		return lease;
	}

	#wait(): void {
		const path = PATHS[this.#random(PATHS.length)] ?? '/';
		const options: WaitOptions = {
			urgency: this.#random(URGENCIES),
			timeout: NEVER,
			caller: this.#callers[this.#random(CALLERS)] ?? '',
		};
		const one = new Waiting(this, this.#waiting.length);
		const wanted = { scope: this.#scopes[this.#random(SCOPES)], path, affinity: undefined };
		const ticket = this.#dispatcher.wait(wanted, options, one);
		if (typeof ticket === 'string') throw new Error(ticket);
		one.ticket = ticket;
		this.#waiting.push(one);
	}

	granted(one: Waiting, lease: Lease<Member>): void {
		this.#leases.push(lease);
		this.#forget(one);
	}

	#forget(one: Waiting): void {
		takeOut(this.#waiting, one.place);
		const moved = this.#waiting[one.place];
		if (moved !== undefined) moved.place = one.place;
	}
}

/** The last one takes its place. */
function takeOut<T>(from: T[], at: number): T {
	const taken = from[at];
	const last = from.pop();
	if (taken === undefined || last === undefined) throw new Error('there is nothing at that place');
	if (at < from.length) from[at] = last;
	return taken;
}

/** Microseconds of CPU an operation: time would count what else the machine does. */
function measure(operation: () => void): number {
	const began = process.cpuUsage();
	for (let i = 0; i < OPERATIONS; i++) operation();
	const { user, system } = process.cpuUsage(began);
	return (user + system) / OPERATIONS;
}

function median(numbers: number[]): number {
	numbers.sort((a, b) => a - b);
	return numbers[numbers.length >> 1] ?? Number.NaN;
}

const few = new Scene(FEW);
const many = new Scene(MANY);
const rows: [string, (scene: Scene) => void][] = [
	['acquire and release', (scene) => scene.acquireAndRelease()],
	['wait and be granted', (scene) => scene.waitAndGrant()],
	['wait and leave', (scene) => scene.waitAndLeave()],
];
const head = (size: Size) => `${size.agents} x ${size.waiting}`.padStart(14);
process.stdout.write(`us of CPU            ${head(FEW)} ${head(MANY)}   ratio\n`);
for (const [name, operation] of rows) {
	const times: Record<'few' | 'many' | 'ratio', number[]> = { few: [], many: [], ratio: [] };
	for (let round = -2; round < ROUNDS; round++) {
		const one = measure(() => operation(few));
		const other = measure(() => operation(many));
		if (round < 0) continue;
		times.few.push(one);
		times.many.push(other);
		times.ratio.push(other / one);
	}
	const ratio = median(times.ratio);
	const cells = [median(times.few), median(times.many)].map((us) => us.toFixed(2).padStart(14));
	process.stdout.write(`${name.padEnd(20)} ${cells.join(' ')} ${ratio.toFixed(2).padStart(7)}\n`);
	if (ratio > MOST) process.exitCode = 1;
}
few.end();
many.end();
