/** The demo as a person tries it: its lines are pasted into a shell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCli } from '../helpers/cli.ts';
import { findProgram, RunningPeer } from '../helpers/peer-process.ts';

test('the lines that the demo prints work as they are', async (context) => {
	findProgram('curl', 'curl');
	const demo = startCli(['demo', '--interval', '5'], { env: {} });
	context.after(async () => {
		demo.child.kill('SIGKILL');
		await demo.exit;
	});
	await demo.output(/Ctrl-C ends it/);
	const lines = demo.stdout.split('\n').filter((line) => /^ {2}(curl|for) /.test(line));
	const outputs: string[] = [];
	for (const line of lines) {
		const { code, stdout, stderr } = await new RunningPeer(context, 'sh', ['-c', line]).done;
		assert.equal(code, 0, `${line}\n${stderr}`);
		outputs.push(stdout);
	}
	const [streamed = '', models = '', six = ''] = outputs;
	assert.equal(outputs.length, 3);
	assert.ok(streamed.endsWith('data: [DONE]\n\n'));
	assert.match(models, /^slime-agent-id: (berlin|osaka)\r$/im);
	assert.equal(six.match(/^200 [\d.]+s$/gm)?.length, 6, six);

	demo.child.kill('SIGINT');
	assert.equal((await demo.exit).code, 0, demo.stderr);
});
