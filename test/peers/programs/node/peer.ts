/** Node's http2 as a peer: see test/helpers/interop-peer.ts for the words that it takes. */
import http2 from 'node:http2';
import { runClient } from './client.ts';
import { startServer } from './server.ts';

const [role, ...args] = process.argv.slice(2);
if (role === 'server') {
	startServer(Number(args[0]));
} else if (role === 'client') {
	const [url = '', window = '', , command = '', ...rest] = args;
	const session = http2.connect(url, { settings: { initialWindowSize: Number(window) } });
	session.on('connect', () => {
		// Node widens the connection's window for what it is set to, and never makes it smaller than 64 KiB.
		session.setLocalWindowSize(Number(window));
	});
	console.log(JSON.stringify(await runClient(session, command, rest)));
	session.destroy();
} else {
	throw new Error(`no role ${role}`);
}
