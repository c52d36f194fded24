/** Receive windows: when credit goes back, when they grow, and that growth is bounded and returned. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_WINDOW } from '../../../src/h2/protocol.ts';
import { ReceiveWindow, WindowBudget } from '../../../src/h2/window.ts';

const noGrowth = () => new WindowBudget(0);

describe('ReceiveWindow', () => {
	it('takes exactly what was announced', () => {
		const window = new ReceiveWindow(10);
		assert.equal(window.receive(10), true);
		assert.equal(window.receive(1), false);
	});

	it('asks for credit to go out when half of it was read, not before', () => {
		const window = new ReceiveWindow(100);
		window.receive(60);
		assert.equal(window.read(49), false);
		assert.equal(window.read(1), true);
		assert.equal(window.credit(1, 0, 0, 100, noGrowth()), 50);
		assert.equal(window.available, 90);
		assert.equal(window.credit(2, 0, 0, 100, noGrowth()), 0);
	});

	/** What the window becomes while half of it is read every `took` milliseconds. */
	function sizes(size: number, took: number, rtt: number, max: number, budget = new WindowBudget(1 << 30)): number[] {
		const window = new ReceiveWindow(size);
		const seen: number[] = [];
		for (let i = 1; i <= 4; i++) {
			window.begin(100 + (i - 1) * took);
			const bytes = Math.ceil(window.size / 2);
			window.receive(bytes);
			window.read(bytes);
			window.credit(100 + i * took, rtt, 0, max, budget);
			seen.push(window.size);
		}
		return seen;
	}

	it('becomes what is read in two round trips, at most 256 times as much at once, up to its limit', () => {
		assert.deepEqual(sizes(1000, 5, 10, 1 << 20), [2000, 4000, 8000, 16_000]);
		assert.deepEqual(sizes(1000, 1, 7, 1 << 20), [7000, 49_000, 343_000, 1 << 20]);
		assert.deepEqual(sizes(100, 1, 5000, 1 << 20), [25_600, 1 << 20, 1 << 20, 1 << 20]);
		assert.deepEqual(sizes(1000, 5, 10, 3000), [2000, 3000, 3000, 3000]);
	});

	it('becomes what is read in eight while it is below a MiB and half of it comes in an eighth of a round trip', () => {
		assert.deepEqual(sizes(1000, 1, 8, 1 << 30), [32_000, 1_024_000, 32_768_000, 262_144_000]);
		assert.deepEqual(sizes(1 << 20, 1, 8, 1 << 30).slice(0, 1), [8 << 20]);
		assert.deepEqual(sizes((1 << 20) - 2, 1, 8, 1 << 30).slice(0, 1), [((1 << 20) - 2) * 32]);
	});

	it('grows out of its budget only', () => {
		const budget = new WindowBudget(3000);
		assert.deepEqual(sizes(1000, 5, 10, 1 << 20, budget), [2000, 2500, 2500, 2500]);
		assert.equal(budget.used, 1500);
	});

	it('does not grow while its reader takes a round trip for half of it, or no round trip is known', () => {
		assert.deepEqual(sizes(1000, 10, 10, 1 << 20), [1000, 1000, 1000, 1000]);
		assert.deepEqual(sizes(1000, 1, 0, 1 << 20), [1000, 1000, 1000, 1000]);
	});

	it('gives credit back by the MiB however large it is', () => {
		const window = new ReceiveWindow(16 << 20);
		assert.equal(window.read((1 << 20) - 1), false);
		assert.equal(window.read(1), true);
	});

	it('leaves a half of its budget to readers that read 16 MiB, and a quarter to windows below their floor', () => {
		const budget = new WindowBudget(1000);
		const grow = (read: number, floor: number) => {
			const window = new ReceiveWindow(10);
			window.begin(1);
			window.read(read);
			window.credit(2, 1000, floor, 1 << 30, budget);
			return window.size;
		};
		assert.equal(grow(100, 0), 510);
		assert.equal(grow(100, 0), 10);
		assert.equal(grow(16 << 20, 0), 260);
		assert.equal(grow(16 << 20, 0), 10);
		assert.equal(grow(100, 2000), 260);
		assert.equal(budget.used, 1000);
	});

	it('does not count the time before its first byte, nor grow without a measured time', () => {
		const window = new ReceiveWindow(1000);
		window.read(500);
		window.credit(1, 1000, 0, 1 << 20, new WindowBudget(1 << 20));
		assert.equal(window.size, 1000);
	});

	it('opens to its floor with the first credit, out of the budget', () => {
		const window = new ReceiveWindow(100);
		const budget = new WindowBudget(300);
		window.receive(60);
		window.read(60);
		assert.equal(window.credit(1, 0, 200, 1000, budget), 160);
		assert.deepEqual([window.size, window.available, budget.used], [200, 200, 100]);
	});

	it('gives its growth back once', () => {
		const budget = new WindowBudget(1000);
		const window = new ReceiveWindow(100);
		window.credit(1, 100, 200, 1000, budget);
		window.credit(2, 100, 250, 1000, budget);
		assert.equal(budget.used, 150);
		window.close(budget);
		window.close(budget);
		assert.equal(budget.used, 0);
	});

	it('raises at once and never lowers', () => {
		const window = new ReceiveWindow(100);
		window.receive(30);
		window.read(30);
		assert.equal(window.raise(300), 230);
		assert.equal(window.available, 300);
		assert.equal(window.raise(200), 0);
	});

	it('goes below zero when the initial window goes down, and refuses data until it is back', () => {
		const window = new ReceiveWindow(100);
		window.receive(80);
		window.shift(-60);
		assert.equal(window.available, -40);
		assert.equal(window.receive(1), false);
	});

	it('never announces more than 2^31-1', () => {
		const window = new ReceiveWindow(MAX_WINDOW - 10);
		window.raise(MAX_WINDOW);
		assert.equal(window.available, MAX_WINDOW);
		window.read(100);
		assert.equal(window.credit(1, 0, 0, MAX_WINDOW, noGrowth()), 0);
	});
});

describe('WindowBudget', () => {
	it('gives no more than it has, nor than the one above it has', () => {
		const process = new WindowBudget(150);
		const one = new WindowBudget(100, process);
		const two = new WindowBudget(100, process);
		assert.equal(one.take(120), 100);
		assert.equal(two.take(80), 50);
		assert.equal(two.take(1), 0);
		one.giveBack(40);
		assert.equal(process.used, 110);
		assert.equal(two.take(80), 40);
		assert.deepEqual([one.used, two.used], [60, 90]);
	});
});
