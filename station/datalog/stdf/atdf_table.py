"""In which order ATDF has the fields of each record; `P/F`, `alarms` and the like stand for flag bits."""

from station.datalog.stdf.records import LAYOUTS

TESTS = frozenset({"PTR", "MPR", "FTR"})
ALARMS = {
    "A": ("TEST_FLG", 0),
    "U": ("TEST_FLG", 2),
    "T": ("TEST_FLG", 3),
    "N": ("TEST_FLG", 4),
    "X": ("TEST_FLG", 5),
    "S": ("PARM_FLG", 0),
    "D": ("PARM_FLG", 1),
    "O": ("PARM_FLG", 2),
    "H": ("PARM_FLG", 3),
    "L": ("PARM_FLG", 4),
}
COMPARE = {"L": 6, "H": 7}
"""A result that is equal to this limit passes."""
_TABLE = """
MIR: LOT_ID PART_TYP JOB_NAM NODE_NAM TSTR_TYP SETUP_T START_T OPER_NAM MODE_COD STAT_NUM SBLOT_ID
    TEST_COD RTST_COD JOB_REV EXEC_TYP EXEC_VER PROT_COD CMOD_COD BURN_TIM TST_TEMP USER_TXT
    AUX_FILE PKG_TYP FAMLY_ID DATE_COD FACIL_ID FLOOR_ID PROC_ID OPER_FRQ SPEC_NAM SPEC_VER FLOW_ID
    SETUP_ID DSGN_REV ENG_ID ROM_COD SERL_NUM SUPR_NAM
WIR: HEAD_NUM START_T SITE_GRP WAFER_ID
WCR: WF_FLAT POS_X POS_Y WAFR_SIZ DIE_HT DIE_WID WF_UNITS CENTER_X CENTER_Y
WRR: HEAD_NUM FINISH_T PART_CNT WAFER_ID SITE_GRP RTST_CNT ABRT_CNT GOOD_CNT FUNC_CNT FABWF_ID
    FRAME_ID MASK_ID USR_DESC EXC_DESC
PRR: HEAD_NUM SITE_NUM PART_ID NUM_TEST P/F HARD_BIN SOFT_BIN X_COORD Y_COORD retest abort TEST_T
    PART_TXT PART_FIX
TSR: HEAD_NUM SITE_NUM TEST_NUM TEST_NAM TEST_TYP EXEC_CNT FAIL_CNT ALRM_CNT SEQ_NAME TEST_LBL
    TEST_TIM TEST_MIN TEST_MAX TST_SUMS TST_SQRS
PTR: TEST_NUM HEAD_NUM SITE_NUM RESULT P/F alarms TEST_TXT ALARM_ID compare UNITS LO_LIMIT HI_LIMIT
    C_RESFMT C_LLMFMT C_HLMFMT LO_SPEC HI_SPEC RES_SCAL LLM_SCAL HLM_SCAL
MPR: TEST_NUM HEAD_NUM SITE_NUM RTN_STAT RTN_RSLT P/F alarms TEST_TXT ALARM_ID compare UNITS
    LO_LIMIT HI_LIMIT START_IN INCR_IN UNITS_IN RTN_INDX C_RESFMT C_LLMFMT C_HLMFMT LO_SPEC HI_SPEC
    RES_SCAL LLM_SCAL HLM_SCAL
FTR: TEST_NUM HEAD_NUM SITE_NUM P/F alarms VECT_NAM TIME_SET CYCL_CNT REL_VADR REPT_CNT NUM_FAIL
    XFAIL_AD YFAIL_AD VECT_OFF RTN_INDX RTN_STAT PGM_INDX PGM_STAT FAIL_PIN OP_CODE TEST_TXT
    ALARM_ID PROG_TXT RSLT_TXT PATG_NUM SPIN_MAP
"""
_LINES = (line.partition(":") for line in _TABLE.replace("\n    ", " ").strip().splitlines())
_OWN = {name: tuple(columns.split()) for name, _, columns in _LINES}
LEFT_OUT = frozenset({"FAR", "GDR", "PLR"})


def _columns(name: str) -> tuple[str, ...]:
    """Return the columns of a record; one without an order of its own has that of STDF without the counts."""
    if name in _OWN:
        return _OWN[name]
    fields = LAYOUTS[name].fields
    counts = {field.count for field in fields}
    return tuple(field.name for field in fields if field.name not in counts)


COLUMNS = {name: _columns(name) for name in LAYOUTS if name not in LEFT_OUT}
