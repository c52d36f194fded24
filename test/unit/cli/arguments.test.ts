/** Words of the command line: spellings, values as they were given, and refusals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments } from '../../../src/cli/arguments.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { parseFlags } from '../../../src/cli/parser.ts';
import { UsageError } from '../../../src/shared/errors.ts';

/** What a command is given for these words. */
function flagsOf(words: readonly string[]): Record<string, string> {
	const request = readArguments(words, COMMANDS);
	assert.equal(request.kind, 'run');
	return request.kind === 'run' ? Object.fromEntries(parseFlags(request.command, request.flags)) : {};
}

function agentFlags(text: string): Record<string, string> {
	return flagsOf(['agent', 'run', ...text.split(' ')]);
}

/** The sentence with which these words are refused. */
function refusal(words: readonly string[]): string {
	try {
		readArguments(words, COMMANDS);
	} catch (error) {
		assert.ok(error instanceof UsageError);
		assert.doesNotMatch(error.message, /\n/);
		return error.message;
	}
	assert.fail(`${words.join(' ')} was not refused`);
}

test('flags are read in camelCase and kebab-case, behind a space or an equals sign', () => {
	assert.deepEqual(agentFlags('--agentID a --numWorker 2'), { agentID: 'a', numWorker: '2' });
	assert.deepEqual(agentFlags('--agent-id a --num-worker 2'), { agentID: 'a', numWorker: '2' });
	assert.deepEqual(agentFlags('--agentId=a --num-worker=2'), { agentID: 'a', numWorker: '2' });
	assert.deepEqual(flagsOf(['hub', 'run', '--tls-cert', 'c', '--clientCa=d']), { tlsCert: 'c', clientCa: 'd' });
});

test('a value is the text that was given, whatever it looks like', () => {
	for (const value of [
		'0123',
		'0x10',
		'1e3',
		'00',
		'true',
		'null',
		' ',
		'=',
		'a=b',
		'-1',
		'-x',
		'--x',
		'--',
		'ä',
		'__proto__',
	]) {
		assert.deepEqual(flagsOf(['hub', 'run', '--secret', value]), { secret: value }, value);
		assert.deepEqual(flagsOf(['hub', 'run', `--secret=${value}`]), { secret: value }, value);
	}
});

test('true and false may be said in many ways', () => {
	for (const yes of ['--reportHardware', '--report-hardware', '--reportHardware=true', '--reportHardware true']) {
		assert.deepEqual(agentFlags(`${yes} --hub h:1`), { reportHardware: 'true', hub: 'h:1' }, yes);
	}
	for (const no of [
		'--reportHardware=false',
		'--report-hardware false',
		'--no-reportHardware',
		'--no-report-hardware',
	]) {
		assert.deepEqual(agentFlags(`--hub h:1 ${no}`), { reportHardware: 'false', hub: 'h:1' }, no);
	}
	assert.match(refusal(['agent', 'run', '--no-reportHardware=false']), /--no-reportHardware takes no value/);
});

test('a list may be repeated, anything else may not', () => {
	assert.deepEqual(agentFlags('--upstream a:1 --upstream b:1,c:1'), { upstream: 'a:1,b:1,c:1' });
	assert.match(refusal(['agent', 'run', '--token', 'a', '--token=a']), /^--token is given twice: give it once; see/);
	const mixed = ['hub', 'run', '--app-password', 'a', '--appPassword', 'b'];
	assert.match(refusal(mixed), /^--appPassword is given twice/);
});

test('--config may stand before the command too', () => {
	assert.deepEqual(flagsOf(['--config', 'f', 'hub', 'check']), { config: 'f' });
	assert.deepEqual(flagsOf(['--config=f', 'hub', 'check', '--port', '1']), { config: 'f', port: '1' });
});

test('help and version are found anywhere, except as a value behind an equals sign', () => {
	const kind = (text: string) => readArguments(text.split(' '), COMMANDS);
	assert.deepEqual(kind('--help'), { kind: 'help', topic: '' });
	assert.deepEqual(kind('-h'), { kind: 'help', topic: '' });
	assert.deepEqual(kind('hub --help'), { kind: 'help', topic: 'hub' });
	assert.deepEqual(kind('hub run --port 1 -h'), { kind: 'help', topic: 'hub run' });
	assert.deepEqual(kind('hub run --port --help'), { kind: 'help', topic: 'hub run' });
	for (const text of ['--version', '-v', 'agent --version', 'demo -v', 'hub run --host a --version']) {
		assert.deepEqual(kind(text), { kind: 'version' }, text);
	}
	assert.deepEqual(flagsOf(['hub', 'run', '--secret=--help']), { secret: '--help' });
});

test('words that are no command are refused with the nearest one', () => {
	const refused: [string, string][] = [
		['hub rnu', 'unknown command "hub rnu"; did you mean hub run? See slime hub --help'],
		['hbu run', 'unknown command "hbu"; did you mean hub? See slime --help'],
		['verison', 'unknown command "verison"; did you mean version? See slime --help'],
		['hub:run', 'unknown command "hub:run"; did you mean hub run? See slime --help'],
		['frobnicate', 'unknown command "frobnicate"; see slime --help'],
		['Hub run', 'unknown command "Hub"; did you mean hub? See slime --help'],
		[
			'agent',
			'a command is missing: write slime agent run, slime agent check, slime agent drain, slime agent resume, slime agent disconnect; see slime agent --help',
		],
		['hub --port 1', 'no command before --port: write slime hub run --port; see slime hub --help'],
	];
	for (const [text, message] of refused) assert.equal(refusal(text.split(' ')), message);
	assert.match(refusal([]), /^a command is missing: write slime hub run, .*; see slime --help$/);
});

test('flags that are unknown or have no value are refused with what to do', () => {
	const refused: [string, string][] = [
		['--prot 1', 'unknown flag --prot; did you mean --port?'],
		['-port 1', 'unknown flag -port; did you mean --port?'],
		['--no-port', 'unknown flag --no-port; did you mean --port?'],
		['--frobnicate', 'unknown flag --frobnicate;'],
		['--__proto__=1', 'unknown flag --__proto__;'],
		['--constructor 1', 'unknown flag --constructor;'],
		['--port', '--port needs a value: --port PORT;'],
		['--port=', '--port needs a value: --port PORT;'],
		['--port --host h', '--port needs a value: --port PORT;'],
		['--host  --port 1', '--host needs a value: --host HOST;'],
	];
	for (const [text, sentence] of refused) {
		const help = sentence.endsWith('?') ? 'See slime hub run --help' : 'see slime hub run --help';
		assert.equal(refusal(['hub', 'run', ...text.split(' ')]), `${sentence} ${help}`);
	}
});

test('a value that belongs to no flag is not repeated, for it may be half a secret', () => {
	const message = refusal(['hub', 'run', '--secret', 'correct', 'horse', 'battery']);
	assert.match(message, /^what follows --secret belongs to no flag: put a value with spaces in quotes; see/);
	assert.doesNotMatch(message, /horse/);
	assert.doesNotMatch(refusal(['hub', 'run', '--secert=horse']), /horse/);
	assert.match(refusal(['version', 'please']), /^what follows slime version belongs to no flag/);
	assert.match(refusal(['hub', 'run', '--', '--port']), /^what follows slime hub run belongs to no flag/);
});
