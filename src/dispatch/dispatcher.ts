/**
 * Who serves what, when: agents' slots on one side, requests on the other, matched at once or as slots become free.
 * Pure but for timers; knows nothing of HTTP or of tunnels. Between any two calls into it holds: no request
 * waits for a slot that it could have, unless `concurrent` is reached.
 */
import { Aging } from './aging.ts';
import { Affinity, Profile, Slots } from './choice.ts';
import { Decisions } from './decisions.ts';
import { DrainRate } from './drain-rate.ts';
import { Eligibility, mayServe, type Scope, type Wanted } from './eligibility.ts';
import { HeldLease, type Lease, type Outcome } from './lease.ts';
import type { DispatcherStats, Member, Membership } from './membership.ts';
import { Entry, type Line, type Place, Queue, type Refusal, type Waiter } from './queue.ts';
import { Standing, type StandingOptions } from './standing.ts';
import { TimeLimits } from './time-limits.ts';
import type { DispatcherOptions, Ticket, WaitOptions } from './waiting.ts';

export type {
	DispatcherOptions,
	DispatcherStats,
	Lease,
	Member,
	Membership,
	Outcome,
	Place,
	Refusal,
	Ticket,
	Waiter,
	WaitOptions,
	Wanted,
};

/** The longest that a Node timer can take. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

const NOBODY_PREFERRED: StandingOptions = { setAsideAfter: 0, slowStart: 0 };

export class Dispatcher<M extends Member> {
	/** Most leases at a time. */
	#concurrent = 0;
	#queueMax = 0;
	/** Most that may wait for an agent when none is connected that could serve them. */
	#queueMaxWithoutAgent = 0;
	readonly #standing: Standing<M>;
	readonly #rate = new DrainRate(performance.now() / 1000);
	#queueTimeout = 0;

	readonly #joined = new Set<Slots<M>>();
	/** The agent that joined last under its key. */
	readonly #byKey = new Map<string, Slots<M>>();
	readonly #profiles = new Map<string, Profile<M>>();
	readonly #eligibility = new Eligibility<Profile<M>>();
	readonly #affinity = new Affinity();

	readonly #queue = new Queue<M>();
	readonly #aging = new Aging(this.#queue, now);
	readonly #limits = new TimeLimits<Entry<M>>((entry) => {
		// Whoever was told just before may have ended its waiting.
		if (entry.line !== undefined) this.#refuse(entry, 'queue_timeout');
	});
	/** Profiles with a free slot and somebody waiting: none, unless `concurrent` is reached. */
	readonly #contested = new Set<Profile<M>>();
	readonly #decisions = new Decisions<M>();
	/** Waiting for agents that are not there. */
	#unserved = 0;

	#leased = 0;
	#changes = 0;
	#seq = 0;

	constructor(options: DispatcherOptions) {
		this.#standing = new Standing(options.standing ?? NOBODY_PREFERRED, (slots) => this.#settle(slots.profile, slots));
		this.#apply(options);
	}

	/** Other limits from now on. Who waits goes on waiting, as long as it was told; a slot that is free by it is given away. */
	configure(options: DispatcherOptions): void {
		this.#standing.configure(options.standing ?? NOBODY_PREFERRED);
		this.#apply(options);
		if (this.#queue.length > 0) this.#aging.keep();
		for (const profile of this.#profiles.values()) this.#settle(profile);
		this.#match();
		this.#decisions.tell();
	}

	#apply({ concurrent, queue }: DispatcherOptions): void {
		this.#concurrent = concurrent === 0 ? Number.POSITIVE_INFINITY : concurrent;
		this.#queueMax = queue.max;
		this.#queueMaxWithoutAgent = queue.maxWithoutAgent ?? queue.max;
		this.#queueTimeout = Math.min(queue.timeout, LONGEST_TIMEOUT);
		this.#aging.after = queue.aging ?? 0;
	}

	get waiting(): number {
		return this.#queue.length;
	}

	/** How many wait, by what they ask for; a scope may come more than once. */
	*waitingByScope(): Generator<readonly [scope: Scope, waiting: number]> {
		for (const { scope, length } of this.#queue.lines()) yield [scope, length];
	}

	stats(): DispatcherStats {
		const open = [...this.#joined].filter((slots) => slots.open);
		const slots = open.reduce((sum, { limit, out }) => sum + (out ? 0 : limit), 0);
		return { members: open.length, slots, leased: this.#leased, waiting: this.waiting };
	}

	join(member: M): Membership {
		const slots = new Slots(member, this.#profileOf(member));
		const { profile } = slots;
		profile.members++;
		profile.usable++;
		profile.sound++;
		this.#standing.join(slots);
		this.#joined.add(slots);
		this.#byKey.set(member.key, slots);
		if (profile.sound < profile.members) this.#settle(profile);
		return {
			get limit() {
				return slots.limit;
			},
			get leased() {
				return slots.leased;
			},
			get aside() {
				return slots.aside;
			},
			setLimit: (limit) => {
				slots.limit = limit;
				this.#offer(slots);
			},
			setFault: (fault) => {
				if (slots.fault === fault) return;
				slots.fault = fault;
				if (fault === 'none') this.#standing.forgive(slots);
				this.#settle(slots.profile, slots);
			},
			drain: () => this.#retire(slots),
			resume: () => this.#reopen(slots),
			leave: () => {
				this.#retire(slots);
				this.#joined.delete(slots);
				this.#standing.leave(slots);
			},
		};
	}

	/**
	 * A slot now, or why there is none; `down` if the upstreams of all agents that could have served it are left alone. It overtakes
	 * nobody: whoever could have a free slot was given it before.
	 * @param exclude members that refused this request already; they count as busy
	 */
	acquire(wanted: Wanted, exclude?: ReadonlySet<M>, urgency = 3): Lease<M> | 'no_agent' | 'busy' | 'down' {
		const profiles = this.#eligibility.profiles(wanted.scope, this.#eligibility.patterns(wanted.path));
		if (profiles.size === 0) return 'no_agent';
		if (this.#leased >= this.#concurrent) return 'busy';
		const slots = this.#choose(profiles, wanted, exclude);
		if (slots === undefined) return isUsable(profiles) ? 'busy' : 'down';
		return this.#lease(slots, wanted, this.#queue.placeAtOnce(++this.#seq, urgency, now()));
	}

	/** Waits for a slot, also when no agent is connected that could have one. The waiter is told once, after this returned. */
	wait(wanted: Wanted, options: WaitOptions, waiter: Waiter<M>): Ticket | 'queue_full' {
		const { caller, place: known, urgency } = options;
		if (known === undefined && this.#isFullFor(wanted)) return 'queue_full';
		const place =
			known === undefined
				? this.#queue.placeFor(caller, ++this.#seq, urgency, now())
				: this.#queue.placeAgain(caller, known, this.#aging.after);
		const entry = new Entry(wanted, caller, place, waiter, this.#left);
		this.#limits.add(entry, Math.min(options.timeout, this.#queueTimeout));
		this.#enqueue(entry);
		entry.position = this.#queue.length;
		this.#match();
		if (entry.decision !== undefined) this.#decisions.tellLater();
		return entry;
	}

	/** Those that wait, in the order in which they would be served if any agent could serve all of them. */
	waiters(): Waiter<M>[] {
		const entries = [...this.#queue.lines()].flatMap((line) => [...line]);
		return entries.sort((a, b) => (a.goesBefore(b) ? -1 : 1)).map(({ waiter }) => waiter);
	}

	/** Whole seconds after which it makes sense to try again: by how fast slots came free lately, 1 to 30. */
	get retryAfter(): number {
		return this.#rate.retryAfter(performance.now() / 1000, this.waiting);
	}

	/** One of the agents that could serve this if it were not for their upstreams, for what there is to say about it. */
	anyFor(wanted: Wanted): M | undefined {
		const profiles = this.#eligibility.profiles(wanted.scope, this.#eligibility.patterns(wanted.path));
		for (const slots of this.#joined) if (slots.open && profiles.has(slots.profile)) return slots.member;
		return undefined;
	}

	#isFullFor(wanted: Wanted): boolean {
		if (this.#queue.length >= this.#queueMax) return true;
		if (this.#queue.length < this.#queueMaxWithoutAgent) return false;
		const profiles = this.#eligibility.profiles(wanted.scope, this.#eligibility.patterns(wanted.path));
		return profiles.size === 0 ? this.#unserved >= this.#queueMaxWithoutAgent : !isUsable(profiles);
	}

	/** Ends all waiting. */
	refuseAll(code: Refusal): void {
		const entries = [...this.#queue.lines()].flatMap((line) => [...line]);
		for (const entry of entries) this.#dequeue(entry);
		for (const entry of entries) this.#decisions.add(entry, code);
		this.#decisions.tell();
	}

	#profileOf(member: M): Profile<M> {
		const key = Profile.keyOf(member);
		const known = this.#profiles.get(key);
		if (known !== undefined) return known;
		const profile = new Profile<M>(member);
		this.#profiles.set(key, profile);
		if (this.#eligibility.add(profile)) this.#regroup();
		else {
			for (const line of this.#queue.lines()) {
				if (mayServe(profile, line.scope, line.patterns)) this.#serve(profile, line);
			}
		}
		return profile;
	}

	#retire(slots: Slots<M>): void {
		if (!slots.open) return;
		const { member, profile, sound, usable } = slots;
		slots.open = false;
		this.#update(slots);
		if (this.#byKey.get(member.key) === slots) this.#byKey.delete(member.key);
		profile.members--;
		profile.sound -= Number(sound);
		profile.usable -= Number(usable);
		if (profile.members > 0) {
			if (profile.sound < profile.members) this.#settle(profile);
			return;
		}
		this.#profiles.delete(Profile.keyOf(profile));
		this.#eligibility.remove(profile);
		for (const line of profile.lines) {
			if (this.#profilesOf(line).size > 0) continue;
			line.served = false;
			this.#unserved += line.length;
		}
	}

	#serve(profile: Profile<M>, line: Line<M>): void {
		profile.lines.add(line);
		if (line.served) return;
		line.served = true;
		this.#unserved -= line.length;
	}

	#reopen(slots: Slots<M>): void {
		if (slots.open || !this.#joined.has(slots)) return;
		slots.open = true;
		slots.profile = this.#profileOf(slots.member);
		slots.profile.members++;
		this.#byKey.set(slots.member.key, slots);
		this.#settle(slots.profile, slots);
	}

	/** One of these agents came, went or changed its standing: who may be chosen now. @param changed the one, if it is still among them */
	#settle(profile: Profile<M>, changed?: Slots<M>): void {
		const members = [...this.#joined].filter((slots) => slots.profile === profile && slots.open);
		const before = members.map(({ usable }) => usable);
		this.#standing.settle(profile, members);
		for (const [i, slots] of members.entries()) {
			// Whoever is put where it belongs goes behind its equals, so nobody is without need.
			if (slots === changed || slots.usable !== before[i]) this.#update(slots);
		}
		this.#match();
		this.#decisions.tell();
	}

	/** What it has free may be given away. */
	#offer(slots: Slots<M>): void {
		this.#update(slots);
		this.#match();
		this.#decisions.tell();
	}

	#choose(profiles: ReadonlySet<Profile<M>>, wanted: Wanted, exclude?: ReadonlySet<M>): Slots<M> | undefined {
		const lastServed = this.#affinity.of(wanted);
		const favourite = lastServed === undefined ? undefined : this.#byKey.get(lastServed);
		if (favourite !== undefined && favourite.free > 0 && profiles.has(favourite.profile)) {
			if (exclude?.has(favourite.member) !== true) return favourite;
		}
		let best: Slots<M> | undefined;
		for (const profile of profiles) {
			const first = profile.first(exclude);
			if (best === undefined || first?.goesBefore(best)) best = first;
		}
		return best;
	}

	#lease(slots: Slots<M>, wanted: Wanted, place: Place): Lease<M> {
		this.#affinity.remember(wanted, slots.member.key);
		this.#leased++;
		slots.leased++;
		this.#update(slots);
		return new HeldLease(slots.member, place, (outcome) => {
			const others = slots.profile.sound - Number(slots.sound);
			const aside = outcome !== null && this.#standing.judge(slots, outcome, others > 0);
			this.#rate.count(performance.now() / 1000);
			this.#leased--;
			slots.leased--;
			if (aside) this.#settle(slots.profile, slots);
			else this.#offer(slots);
		});
	}

	#update(slots: Slots<M>): void {
		slots.profile.update(slots, ++this.#changes);
		this.#contest(slots.profile);
	}

	#contest(profile: Profile<M>): void {
		if (profile.hasFree && profile.lines.size > 0) this.#contested.add(profile);
		else this.#contested.delete(profile);
	}

	/** Decides who gets what is free. Calls nobody, so that whoever is told of it finds everything settled. */
	#match(): void {
		while (this.#leased < this.#concurrent) {
			const entry = this.#next();
			if (entry?.line === undefined) return;
			const { scope, patterns } = entry.line;
			const slots = this.#choose(this.#eligibility.profiles(scope, patterns), entry.wanted);
			if (slots === undefined) return;
			this.#dequeue(entry, true);
			this.#decisions.add(entry, this.#lease(slots, entry.wanted, entry.place));
		}
	}

	/** The first of those who could have a slot that is free. */
	#next(): Entry<M> | undefined {
		let next: Entry<M> | undefined;
		for (const profile of this.#contested) {
			for (const line of profile.lines) {
				const { first } = line;
				if (next === undefined || first?.goesBefore(next)) next = first;
			}
		}
		return next;
	}

	#enqueue(entry: Entry<M>): void {
		this.#aging.keep();
		const begun = this.#queue.add(entry, this.#eligibility.patterns(entry.wanted.path));
		if (entry.line?.served === false) this.#unserved++;
		if (begun === undefined) return;
		for (const profile of this.#profilesOf(begun)) {
			this.#serve(profile, begun);
			this.#contest(profile);
		}
	}

	#dequeue(entry: Entry<M>, served = false): void {
		this.#limits.remove(entry);
		if (entry.line?.served === false) this.#unserved--;
		const line = this.#queue.remove(entry, served);
		if (line === undefined) return;
		for (const profile of this.#profilesOf(line)) {
			profile.lines.delete(line);
			this.#contest(profile);
		}
	}

	#profilesOf(line: Line<M>): ReadonlySet<Profile<M>> {
		return this.#eligibility.profiles(line.scope, line.patterns);
	}

	/** New path patterns divide those who stood in the same line. */
	#regroup(): void {
		for (const profile of this.#profiles.values()) profile.lines.clear();
		this.#unserved = 0;
		for (const entry of this.#queue.clear()) this.#enqueue(entry);
	}

	#refuse(entry: Entry<M>, code: Refusal): void {
		this.#dequeue(entry);
		this.#decisions.add(entry, code);
		this.#decisions.tell();
	}

	readonly #left = (entry: Entry<M>): void => {
		const { decision } = entry;
		entry.decision = undefined;
		this.#dequeue(entry);
		if (typeof decision === 'object') decision.release();
	};
}

/** Whole milliseconds, which V8 keeps without a box. */
function now(): number {
	return Math.floor(performance.now());
}

/** Whether there is one that a request may be given to once it has a slot. */
function isUsable<M>(profiles: ReadonlySet<Profile<M>>): boolean {
	for (const { usable } of profiles) if (usable > 0) return true;
	return false;
}
