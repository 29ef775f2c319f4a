"""A mail server for the tests: aiosmtpd with TLS, which lets one account send and writes down what it is given.

usage: serve.py FOLDER starttls|tls

FOLDER holds certificate.pem and key.pem. Prints its port, then every message as a line of JSON; ends with its input.
"""

import asyncio
import json
import os
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"ann", b"hunter2-hunter2"


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
            "user": session.auth_data.decode() if session.auth_data else None,
            "content": envelope.content.decode("utf-8"),
        }
        print(json.dumps(message), flush=True)
        return "250 kept"


def authenticator(server, session, envelope, mechanism, data):
    known = mechanism in ("PLAIN", "LOGIN") and data.login == USER and data.password == PASSWORD
    return AuthResult(success=known, handled=known, auth_data=data.login if known else None)


async def main(folder, mode):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem"))
    later = context if mode == "starttls" else None

    def server():
        return SMTP(
            Keeper(),
            hostname="localhost",
            tls_context=later,
            require_starttls=later is not None,
            authenticator=authenticator,
            auth_required=True,
            auth_require_tls=later is not None,
        )

    at_once = context if mode == "tls" else None
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=at_once)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
asyncio.run(main(sys.argv[1], sys.argv[2]))
