"""What Schemathesis must know of the platform: who asks."""

import os

import schemathesis


@schemathesis.auth(refresh_interval=None)
class Credential:
    """The credential of a file, which test/fuzz writes anew before it ends."""

    def get(self, case, context):
        with open(os.environ["SENDTIP_FUZZ_CREDENTIAL"], encoding="utf-8") as file:
            return file.read()

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers[os.environ["SENDTIP_FUZZ_HEADER"]] = data
