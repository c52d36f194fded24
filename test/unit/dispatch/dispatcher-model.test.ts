/** The dispatcher beside a model that knows no better than to look at everything, and under a load of real size. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
	Dispatcher,
	type Lease,
	type Membership,
	type Place,
	type Ticket,
	type Wanted,
} from '../../../src/dispatch/dispatcher.ts';
import { type Agent, agent } from '../../helpers/dispatching.ts';
import { seeded } from '../../helpers/seeded.ts';

interface ModelAgent {
	readonly member: Agent;
	readonly membership: Membership;
	limit: number;
	leased: number;
	/** The part of its slots that is free, and when it became that. */
	share: number;
	changed: number;
	open: boolean;
	here: boolean;
}

interface ModelWaiter {
	readonly name: number;
	readonly caller: string;
	readonly wanted: Wanted;
	readonly place: Place;
	readonly ticket: Ticket;
}

interface Held {
	readonly lease: Lease<Agent>;
	readonly wanted: Wanted;
	readonly caller: string;
	readonly of: ModelAgent;
}

/** The rules, each as a sentence would say it; every question costs a walk over everybody. */
class Model {
	readonly agents: ModelAgent[] = [];
	readonly affinity = new Map<string, string>();
	/** The agent that joined last under a key. */
	readonly newest = new Map<string, ModelAgent>();
	readonly concurrent: number;
	waiters: ModelWaiter[] = [];
	leased = 0;
	changes = 0;

	constructor(concurrent: number) {
		this.concurrent = concurrent === 0 ? Number.POSITIVE_INFINITY : concurrent;
	}

	eligible(wanted: Wanted): ModelAgent[] {
		return this.agents.filter(({ member, open }) => {
			const asked = wanted.scope === undefined ? undefined : [wanted.scope].flat();
			if (!open || asked?.some((scope) => member.scopes.includes(scope)) === false) return false;
			return member.scopePaths.length === 0 || member.scopePaths.some((pattern) => matches(pattern, wanted.path));
		});
	}

	choose(wanted: Wanted, exclude: ReadonlySet<Agent>): ModelAgent | undefined {
		const free = this.eligible(wanted).filter((one) => one.leased < one.limit && !exclude.has(one.member));
		const last = this.newest.get(this.affinity.get(keyOf(wanted)) ?? '');
		if (last !== undefined && free.includes(last)) return last;
		return free.sort((a, b) => b.share - a.share || a.changed - b.changed)[0];
	}

	/** Its limit or its leases are others, or whether it is given any. */
	change(one: ModelAgent): void {
		const share = one.open && one.leased < one.limit ? (one.limit - one.leased) / one.limit : 0;
		if (share !== one.share) one.changed = ++this.changes;
		one.share = share;
	}

	acquire(wanted: Wanted, exclude: ReadonlySet<Agent>): ModelAgent | 'no_agent' | 'busy' {
		if (this.eligible(wanted).length === 0) return 'no_agent';
		const chosen = this.leased < this.concurrent ? this.choose(wanted, exclude) : undefined;
		if (chosen === undefined) return 'busy';
		chosen.leased++;
		this.change(chosen);
		this.leased++;
		if (wanted.affinity !== undefined) this.affinity.set(keyOf(wanted), chosen.member.key);
		return chosen;
	}

	/** Wakes whoever can be woken. */
	settle(): { waiter: ModelWaiter; by: ModelAgent }[] {
		const woken: { waiter: ModelWaiter; by: ModelAgent }[] = [];
		this.waiters.sort(({ place: a }, { place: b }) => a.urgency - b.urgency || a.turn - b.turn || a.seq - b.seq);
		for (const waiter of this.waiters) {
			const by = this.acquire(waiter.wanted, new Set());
			if (typeof by === 'object') woken.push({ waiter, by });
		}
		this.waiters = this.waiters.filter((waiter) => !woken.some((one) => one.waiter === waiter));
		return woken;
	}
}

function matches(pattern: string, path: string): boolean {
	if (!pattern.endsWith('/*')) return pattern === path;
	return path.startsWith(pattern.slice(0, -1)) && !path.split('/').includes('..');
}

function keyOf(wanted: Wanted): string {
	return JSON.stringify([wanted.scope, wanted.affinity]);
}

const SCOPES = ['x', 'y', 'z'];
const PATTERNS = ['/a', '/a/*', '/a/b/*', '/a/b/c', '/*', '/d/*'];
const PATHS = ['/a', '/a/', '/a/b/c', '/a/b/../c', '/d/e', '/f'];

function walk(seed: number, concurrent: number, steps: number): void {
	const random = seeded(seed);
	const some = <T>(all: readonly T[]): T[] => all.filter(() => random(3) === 0);
	const one = <T>(all: readonly T[]): T | undefined => all[random(all.length)];

	const dispatcher = new Dispatcher<Agent>({ concurrent, queue: { max: 40, timeout: 1e9 } });
	const model = new Model(concurrent);
	/** Telling it the limit that it has makes the dispatcher tell what is still to be told. */
	const bystander = dispatcher.join(agent('bystander', { scopes: ['none'], scopePaths: ['/none'] }));
	const told: { name: number; lease: Lease<Agent> }[] = [];
	let held: Held[] = [];
	const refused: { place: Place; wanted: Wanted; caller: string }[] = [];
	let names = 0;

	function wish(): Wanted {
		const scope = one([undefined, undefined, one([...SCOPES, 'nobody']), ['x', 'y'], ['z', 'nobody']]);
		return { scope, path: one(PATHS) ?? '', affinity: random(3) === 0 ? `${random(4)}` : undefined };
	}

	const someone = () => `${random(4)}`;

	const actions: (() => void)[] = [
		function join() {
			if (model.agents.filter(({ here }) => here).length >= 12) return;
			const member = agent(`${random(8)}`, { scopes: some(SCOPES), scopePaths: some(PATTERNS) });
			const membership = dispatcher.join(member);
			const one = { member, membership, limit: 0, leased: 0, share: 0, changed: 0, open: true, here: true };
			model.agents.push(one);
			model.newest.set(member.key, one);
			setLimit(one);
		},
		() => setLimit(one(model.agents.filter(({ here }) => here))),
		function drainOrLeave() {
			const agent = one(model.agents.filter(({ here }) => here));
			if (agent === undefined || random(3) > 0) return;
			agent.open = false;
			model.change(agent);
			if (random(2) === 0) return agent.membership.drain();
			agent.here = false;
			agent.membership.leave();
		},
		function resume() {
			const agent = one(model.agents.filter(({ here }) => here));
			if (agent === undefined) return;
			if (!agent.open) model.newest.set(agent.member.key, agent);
			agent.open = true;
			model.change(agent);
			agent.membership.resume();
		},
		function acquire() {
			const wanted = wish();
			const exclude = new Set(some(model.agents.filter(({ open }) => open)).map(({ member }) => member));
			const lease = dispatcher.acquire(wanted, exclude);
			const expected = model.acquire(wanted, exclude);
			if (typeof lease === 'string' || typeof expected === 'string') {
				assert.equal(lease, expected);
				return;
			}
			assert.equal(lease.member, expected.member);
			held.push({ lease, wanted, caller: someone(), of: expected });
		},
		() => wait(wish(), someone()),
		() => wait(wish(), someone()),
		function comeBack() {
			const again = refused.pop();
			if (again !== undefined) wait(again.wanted, again.caller, again.place);
		},
		function leaveQueue() {
			const waiter = one(model.waiters);
			if (waiter === undefined || random(2) === 0) return;
			waiter.ticket.leave();
			waiter.ticket.leave();
			model.waiters = model.waiters.filter((other) => other !== waiter);
		},
		release,
		release,
		release,
	];

	function setLimit(agent: ModelAgent | undefined): void {
		if (agent === undefined) return;
		agent.limit = random(5);
		model.change(agent);
		agent.membership.setLimit(agent.limit);
	}

	function wait(wanted: Wanted, caller: string, place?: Place): void {
		const name = ++names;
		const urgency = random(4) === 0 ? random(8) : 3;
		const ticket = dispatcher.wait(
			wanted,
			{ urgency, timeout: 1e9, caller, place },
			{ granted: (lease) => told.push({ name, lease }), refused: () => assert.fail('refused') },
		);
		if (ticket === 'queue_full') assert.ok(place === undefined && model.waiters.length >= 40);
		else model.waiters.push({ name, caller, wanted, place: ticket.place, ticket });
	}

	function release(): void {
		const done = one(held);
		if (done === undefined) return;
		held = held.filter((other) => other !== done);
		done.of.leased--;
		model.change(done.of);
		model.leased--;
		if (random(4) === 0) {
			refused.push({ place: done.lease.place, wanted: done.wanted, caller: done.caller });
		}
		done.lease.release();
		done.lease.release();
	}

	for (let step = 0; step < steps; step++) {
		one(actions)?.();
		bystander.setLimit(0);

		const woken = model.settle();
		assert.deepEqual(
			told.map(({ name, lease }) => [name, lease.member.name, lease.place]),
			woken.map(({ waiter, by }) => [waiter.name, by.member.name, waiter.place]),
			`step ${step}`,
		);
		for (const [at, { waiter, by }] of woken.entries()) {
			const lease = told[at]?.lease;
			assert.equal(lease?.member, by.member);
			if (lease !== undefined) held.push({ lease, wanted: waiter.wanted, caller: waiter.caller, of: by });
		}
		told.length = 0;

		const open = model.agents.filter((one) => one.open);
		assert.deepEqual(dispatcher.stats(), {
			members: open.length + 1,
			slots: open.reduce((sum, { limit }) => sum + limit, 0),
			leased: held.length,
			waiting: model.waiters.length,
		});
		for (const { membership, leased, limit } of model.agents) {
			assert.equal(membership.leased, leased);
			assert.equal(membership.limit, limit);
		}
		assert.ok(concurrent === 0 || held.length <= concurrent);
		if (model.leased < model.concurrent) {
			for (const { wanted } of model.waiters) assert.equal(model.choose(wanted, new Set()), undefined);
		}
		// Those that are gone for good would only make the model slower.
		for (let at = model.agents.length - 1; at >= 0; at--) {
			const gone = model.agents[at];
			if (gone?.here === false && gone.leased === 0) model.agents.splice(at, 1);
		}
	}
	for (const { ticket } of model.waiters) ticket.leave();
	for (const { lease } of held) lease.release();
	assert.equal(dispatcher.stats().leased, 0);
}

describe('the dispatcher chooses and wakes as a model does that looks at everybody', () => {
	it('without a limit on all leases', () => walk(1, 0, 20_000));
	it('at a limit on all leases', () => walk(2, 4, 10_000));
	it('around a limit on all leases', () => walk(3, 12, 10_000));
});

it('1,000 agents and 10,000 waiters cost 100,000 leases no more than seconds', () => {
	const random = seeded(4);
	const dispatcher = new Dispatcher<Agent>({ concurrent: 0, queue: { max: 10_000, timeout: 1e9 } });
	const held: Lease<Agent>[] = [];
	let granted = 0;
	const waiter = {
		granted: (lease: Lease<Agent>) => {
			granted++;
			held.push(lease);
		},
		refused: () => {},
	};
	const wait = () => {
		const scope = random(2) === 0 ? undefined : `${random(10)}`;
		const path = `/v1/${random(7)}/${random(100)}`;
		dispatcher.wait(
			{ scope, path, affinity: `${random(5000)}` },
			{ urgency: random(8), timeout: 1e9, caller: `${random(50)}` },
			waiter,
		);
	};
	const started = process.cpuUsage();
	for (let i = 0; i < 1000; i++) {
		const scopePaths = i < 500 ? [] : [`/v1/${i % 7}/*`];
		dispatcher.join(agent(`${i}`, { scopes: [`${i % 10}`], scopePaths })).setLimit(4);
	}
	while (dispatcher.waiting < 10_000) wait();
	dispatcher.join(agent('bystander')).setLimit(0);
	assert.equal(granted, 4000);
	while (granted < 100_000) {
		const at = random(held.length);
		const lease = held[at];
		const last = held.pop();
		if (lease !== last && last !== undefined) held[at] = last;
		lease?.release();
		wait();
	}
	const { user, system } = process.cpuUsage(started);
	assert.ok(user + system < 20_000_000, `${user + system} us`);
	assert.deepEqual(dispatcher.stats(), { members: 1001, slots: 4000, leased: 4000, waiting: 10_000 });
	dispatcher.refuseAll('draining');
});
