#!/usr/bin/env python3
"""The app that is scaled: holds whatever connects, and keeps the number of sessions in the file `sessions`."""
import asyncio
import os
import sys

sessions = 0


def write():
    with open("sessions.new", "w", encoding="ascii") as file:
        file.write(f"{sessions}\n")
    os.replace("sessions.new", "sessions")


async def serve(reader, writer):
    global sessions
    sessions += 1
    write()
    try:
        while await reader.read(64):
            pass
    except OSError:
        pass
    finally:
        sessions -= 1
        write()
        writer.close()


async def main():
    write()
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
