"""The names of a vault's keys."""

TRANSPORT_MASTER, ISSUER_MASTER = "TM-se1-1", "IM-se1-1"
ROOT, ISSUING, ISSUING_EC = "ROOT-PQ-1", "ICA-PQ-1", "ICA-EC-1"
RECORD, RECORD_EC = "REC-1", "REC-EC-1"
TEST_MASTER, RAW_MASTER, TRANSPORT_KEM = "TT-se1-1", "RAW-se1-1", "TKEM-1"
"""What PQP-0 needs: masters of test tokens and of the raw token, and the key that dies encapsulate to."""
LOG, LOG_PQ = "LOG-1", "LOG-PQ-1"
RMA = "RMA-se1-1"
