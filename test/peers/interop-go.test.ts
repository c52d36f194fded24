/** Go in both roles: golang.org/x/net/http2 without TLS, and the HTTP/2 of net/http, which it chooses by ALPN. */
import { goHasWindows, goPeer } from '../helpers/interop-peer.ts';
import { clientVectors, serverVectors } from '../helpers/interop-vectors.ts';

const old = 'a Go before 1.24 takes its own';
const oldClient = goHasWindows() ? {} : { 'client gigabyte small': old, 'client gigabyte large': old };
const oldServer = goHasWindows()
	? {}
	: { 'server gigabyte small': old, 'server gigabyte large': old, 'server together': old, 'server connect': old };

const cannot = {
	...oldClient,
	'client own settings': 'Go announces its settings once',
	'server own settings': 'Go announces its settings once',
	'server limit': 'Go announces its settings once',
	'server refusal': 'Go announces that it goes away before it passes anything over',
};

const net = goPeer('x/net', cannot);
clientVectors(net);
serverVectors(net);

const standard = goPeer('net/http', {
	...cannot,
	...oldServer,
	'client connect': 'net/http refuses to send :protocol',
	'client limit': 'net/http opens further connections instead',
});
clientVectors(standard);
serverVectors(standard);
