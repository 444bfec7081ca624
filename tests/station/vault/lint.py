"""pkilint as judge of what the vault signs. It looks at structure, not at signatures.

Its notices are left out: it has one for the self-signed certificate of any ML-DSA root.
"""

from collections.abc import Callable
from typing import Any

from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity


def lint_certificate(der: bytes) -> list[str]:
    """Findings from WARNING up, as `lint_pkix_cert` has them."""
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    return _findings(validator, loader.load_certificate, der)


def lint_crl(der: bytes) -> list[str]:
    """Findings from WARNING up, as `lint_crl --profile PKIX` has them."""
    validator = crl.create_pkix_crl_validator_container(
        _decoders(),
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    return _findings(validator, loader.load_crl, der)


def lint_ocsp(der: bytes) -> list[str]:
    """Findings from WARNING up, as `lint_ocsp_response` has them."""
    validator = ocsp.create_pkix_ocsp_response_validator_container(
        [ocsp.create_response_decoder(), *_decoders()], []
    )
    return _findings(validator, loader.load_ocsp_response, der)


def _decoders() -> list[Any]:
    return [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]


def _findings(validator: Any, load: Callable[[bytes, str], Any], der: bytes) -> list[str]:
    return [
        f"{found.finding.code}: {found.message or ''}"
        for result in validator.validate(load(der, "").root)
        for found in result.finding_descriptions
        if found.finding.severity <= ValidationFindingSeverity.WARNING
    ]
