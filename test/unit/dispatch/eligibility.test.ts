/** Which agents may serve which requests. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Eligibility, type Grants, mayServe, PathPatterns, type Scope } from '../../../src/dispatch/eligibility.ts';

function matches(pattern: string, path: string): boolean {
	return new PathPatterns([pattern]).matching(path).length > 0;
}

function grants(scopes: string[], scopePaths: string[] = []): Grants {
	return { scopes, scopePaths };
}

function served(eligibility: Eligibility<Grants>, scope: Scope, path: string): Grants[] {
	const patterns = eligibility.patterns(path);
	return [...eligibility.profiles(scope, patterns)];
}

describe('path patterns', () => {
	it('match a path without a star exactly', () => {
		assert.equal(matches('/v1/chat', '/v1/chat'), true);
		for (const path of ['/v1/chat/', '/v1/chat/x', '/v1/chats', '/v1/cha', '/V1/chat', '']) {
			assert.equal(matches('/v1/chat', path), false, path);
		}
	});

	it('match with /prefix/* what is at /prefix/ and below, not /prefix itself', () => {
		for (const path of ['/v1/images/', '/v1/images/a', '/v1/images/a/b', '/v1/images/*']) {
			assert.equal(matches('/v1/images/*', path), true, path);
		}
		for (const path of ['/v1/images', '/v1/imagesque', '/v1/', '/', '/x/v1/images/a', '*', '']) {
			assert.equal(matches('/v1/images/*', path), false, path);
		}
	});

	it('match with /* every path that begins with a slash', () => {
		assert.equal(matches('/*', '/'), true);
		assert.equal(matches('/*', '/a/b'), true);
		assert.equal(matches('/*', '*'), false);
	});

	it('take a star anywhere else literally', () => {
		assert.equal(matches('/v1/*/x', '/v1/a/x'), false);
		assert.equal(matches('/v1/*/x', '/v1/*/x'), true);
		assert.equal(matches('/v1/a*', '/v1/ab'), false);
		assert.equal(matches('/v1/a*', '/v1/a*'), true);
	});

	const leaving = [
		'/v1/images/../chat',
		'/v1/images/..',
		'/v1/images/a/../../chat',
		'/v1/images/%2e%2e/chat',
		'/v1/images/%2E%2e/chat',
		'/v1/images/.%2e/chat',
		'/v1/images/%2E./chat',
		'/v1/images/..%2fchat',
		'/v1/images/..%2Fchat',
		'/v1/images/a%2f..%2f..%2fchat',
		'/v1/images/..\\chat',
		'/v1/images/a\\..\\..\\chat',
		'/v1/images/..%5cchat',
		'/v1/images/a%5C%2e%2E%5Cchat',
		'/v1/images/%252e%252e/chat',
		'/v1/images/a%252f..%252fchat',
		'/v1/images/..;/chat',
		'/v1/images/..;x=y/chat',
		'/v1/images/..%00/chat',
		'/v1/images//../../chat',
	];
	for (const path of leaving) {
		it(`never match with a /* pattern what could leave the prefix: ${path}`, () => {
			assert.equal(matches('/v1/images/*', path), false);
		});
	}

	const staying = [
		'/v1/images/.',
		'/v1/images/./a',
		'/v1/images/...',
		'/v1/images/..a',
		'/v1/images/a..',
		'/v1/images/a..b/c',
		'/v1/images/.well-known/x',
		'/v1/images/%2ehidden',
	];
	for (const path of staying) {
		it(`match with a /* pattern dots that leave nothing: ${path}`, () => {
			assert.equal(matches('/v1/images/*', path), true);
		});
	}

	it('compare a repeated slash and an encoded slash literally', () => {
		assert.equal(matches('/v1/images/*', '/v1//images/a'), false);
		assert.equal(matches('/v1/images/*', '//v1/images/a'), false);
		assert.equal(matches('/v1/images/*', '/v1%2fimages/a'), false);
		assert.equal(matches('/v1/images/*', '/v1/images%2fa'), false);
		assert.equal(matches('/v1/images/*', '/v1/images//a'), true);
		assert.equal(matches('/v1/images/*', '/v1/images/a%2Fb'), true);
		assert.equal(matches('/v1/chat', '/v1//chat'), false);
		assert.equal(matches('/v1/chat', '/v1%2fchat'), false);
		assert.equal(matches('/v1/chat', '/v1/%63hat'), false);
	});

	it('compare an exact path literally, dot segments and all', () => {
		assert.equal(matches('/v1/chat', '/v1/x/../chat'), false);
		assert.equal(matches('/v1/x/../chat', '/v1/x/../chat'), true);
	});

	it('name all patterns that a path matches, in the same order however they were given', () => {
		const all = ['/a/*', '/a/b/*', '/a/b/c', '/*', '/z/*'];
		const expected = ['/a/b/c', '/*', '/a/*', '/a/b/*'];
		assert.deepEqual(new PathPatterns(all).matching('/a/b/c'), expected);
		assert.deepEqual(new PathPatterns(all.toReversed()).matching('/a/b/c'), expected);
		assert.deepEqual(new PathPatterns(['/long/prefix/*', '/a/*']).matching('/a/'), ['/a/*']);
		assert.deepEqual(new PathPatterns(['/a/*']).matching('/a/*'), ['/a/*']);
	});

	it('judge a hostile path in linear time', () => {
		const patterns = new PathPatterns(['/v1/*']);
		const started = process.cpuUsage();
		for (const unit of ['%25', '%2525252525', '/.', '/%2e', '%5c.', '////', '..%']) {
			patterns.matching(`/v1/${unit.repeat(64 * 1024)}`);
		}
		const { user, system } = process.cpuUsage(started);
		assert.ok(user + system < 2_000_000, `${user + system} us`);
	});
});

describe('eligibility', () => {
	const open = grants([]);
	const chat = grants(['chat', 'both'], ['/v1/chat']);
	const images = grants(['images', 'both'], ['/v1/images/*', '/v1/*']);
	const all = new Eligibility<Grants>();
	for (const profile of [open, chat, images]) all.add(profile);

	it('sends a request with a scope only to agents that have it', () => {
		assert.deepEqual(served(all, 'chat', '/v1/chat'), [chat]);
		assert.deepEqual(served(all, 'both', '/v1/chat'), [chat, images]);
		assert.deepEqual(served(all, 'nobody', '/v1/chat'), []);
		assert.deepEqual(served(all, '', '/v1/chat'), []);
	});

	it('sends a request without a scope to any agent', () => {
		assert.deepEqual(served(all, undefined, '/v1/chat'), [open, chat, images]);
	});

	it('sends a request that several scopes would do for to agents with any of them, and to no other', () => {
		assert.deepEqual(served(all, ['chat', 'nobody'], '/v1/chat'), [chat]);
		assert.deepEqual(served(all, ['chat', 'images'], '/v1/chat'), [chat, images]);
		assert.deepEqual(served(all, ['both', 'images'], '/v1/images/a'), [images]);
		assert.deepEqual(served(all, ['nobody', 'none'], '/v1/chat'), []);
	});

	it('sends to an agent with path patterns only what matches one of them', () => {
		assert.deepEqual(served(all, undefined, '/v1/images/a'), [open, images]);
		assert.deepEqual(served(all, undefined, '/other'), [open]);
		assert.deepEqual(served(all, 'images', '/other'), []);
		assert.deepEqual(served(all, 'images', '/v1/images/a'), [images]);
	});

	it('says the same of one agent as of all', () => {
		for (const scope of [undefined, 'chat', 'images', 'both', 'nobody', ['chat', 'images'], ['both', 'nobody']]) {
			for (const path of ['/v1/chat', '/v1/images/a', '/v1/x', '/other', '/v1/images/../x']) {
				const patterns = all.patterns(path);
				const each = [open, chat, images].filter((profile) => mayServe(profile, scope, patterns));
				assert.deepEqual(served(all, scope, path), each, `${scope} ${path}`);
			}
		}
	});

	it('forgets a profile that is removed and keeps those beside it', () => {
		const eligibility = new Eligibility<Grants>();
		const twin = grants(['chat'], ['/v1/chat', '/v2/*']);
		eligibility.add(chat);
		eligibility.add(twin);
		eligibility.remove(chat);
		assert.deepEqual(served(eligibility, 'chat', '/v1/chat'), [twin]);
		assert.deepEqual(served(eligibility, 'both', '/v1/chat'), []);
		eligibility.remove(twin);
		assert.deepEqual(served(eligibility, undefined, '/v1/chat'), []);
	});

	it('says when a profile brings a new pattern, and not when one comes back', () => {
		const eligibility = new Eligibility<Grants>();
		assert.equal(eligibility.add(open), false);
		assert.equal(eligibility.add(chat), true);
		eligibility.remove(chat);
		assert.equal(eligibility.add(chat), false);
		assert.equal(eligibility.add(images), true);
	});

	it('drops patterns that nobody has any more when a new one comes', () => {
		const eligibility = new Eligibility<Grants>();
		eligibility.add(chat);
		eligibility.remove(chat);
		assert.deepEqual(eligibility.patterns('/v1/chat'), ['/v1/chat']);
		eligibility.add(grants([], ['/new']));
		assert.deepEqual(eligibility.patterns('/v1/chat'), []);
	});
});
