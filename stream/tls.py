"""What is wrong with a TLS connection, in words: clients tell it as a server that does not answer."""

from __future__ import annotations

import asyncio
import ssl

PATIENCE_S = 5.0


async def fault(host: str, port: int, context: ssl.SSLContext | None) -> str:
    """Why this client and this server cannot talk; empty where they can, or where nobody listens.

    Args:
        host: of the server.
        port: of the server.
        context: the client's; None where it speaks plain text.
    """
    if not await _listens(host, port):
        return ""
    if context is not None:
        return await _handshake(host, port, context)
    # Whether the server speaks TLS; whose certificate it shows does not matter, because nothing is sent to it.
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    probe.check_hostname, probe.verify_mode = False, ssl.CERT_NONE
    return "" if await _handshake(host, port, probe) else "it speaks TLS, and the settings do not"


async def _handshake(host: str, port: int, context: ssl.SSLContext) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, ssl_handshake_timeout=PATIENCE_S)
        writer.close()
        return ""
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message})"
    except ssl.SSLError as error:
        return f"it does not speak TLS as the settings have it ({error.reason or 'no reason given'})"
    except (OSError, TimeoutError) as error:
        return f"it does not speak TLS ({type(error).__name__})"


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    except (OSError, TimeoutError):
        return False
