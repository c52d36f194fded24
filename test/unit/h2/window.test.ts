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

	it('doubles when it is used up within two round trips, up to its limit', () => {
		const window = new ReceiveWindow(100);
		const budget = new WindowBudget(1000);
		const sizes: number[] = [];
		for (let now = 1; now < 60; now += 10) {
			window.receive(50);
			window.read(50);
			window.credit(now, 6, 0, 350, budget);
			sizes.push(window.size);
		}
		assert.deepEqual(sizes, [100, 200, 350, 350, 350, 350]);
		assert.equal(budget.used, 250);
		assert.equal(window.available, 350);
	});

	it('does not grow while its reader is slow or no round trip is known', () => {
		for (const rtt of [0, 4]) {
			const window = new ReceiveWindow(100);
			for (let now = 1; now < 60; now += 10) {
				window.receive(50);
				window.read(50);
				window.credit(now, rtt, 0, 1000, new WindowBudget(1000));
			}
			assert.equal(window.size, 100);
		}
	});

	it('opens to its floor with the first credit, out of the budget', () => {
		const window = new ReceiveWindow(100);
		const budget = new WindowBudget(150);
		window.receive(60);
		window.read(60);
		assert.equal(window.credit(1, 0, 200, 1000, budget), 160);
		assert.deepEqual([window.size, window.available, budget.used], [200, 200, 100]);
	});

	it('gives its growth back once', () => {
		const budget = new WindowBudget(1000);
		const window = new ReceiveWindow(100);
		window.credit(1, 100, 0, 1000, budget);
		window.credit(2, 100, 0, 1000, budget);
		assert.equal(budget.used, 100);
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
