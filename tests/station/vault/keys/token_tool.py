"""Looks into a token and tampers with it, in a process of its own: run as a script.

`list`, `remove LABEL` or `plant LABEL`, which makes a key that can be exported.
"""

import sys

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag

TOKEN, PIN = "hardbin-test", "planted-pin-7"


def main(module: str, what: str, label: str = "") -> None:
    """Do it, and print the labels that are there afterwards."""
    token = pkcs11.lib(module).get_token(token_label=TOKEN)
    with token.open(rw=True, user_pin=PIN) as session:
        if what == "remove":
            for found in [*session.get_objects({Attribute.LABEL: label})]:
                found.destroy()
        if what == "plant":
            session.generate_key(
                KeyType.AES,
                256,
                id=label.removeprefix("hardbin:").encode(),
                label=label,
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
            )
        labels = sorted(str(found[Attribute.LABEL]) for found in session.get_objects())
    sys.stdout.write("\n".join(labels))


if __name__ == "__main__":
    main(*sys.argv[1:])
