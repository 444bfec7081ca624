"""What both sides of the desk know: which action each call asks for."""

from collections.abc import Mapping

from station.vault.desk.roles import Action

CALLS: Mapping[str, Action] = {
    "AddOrder": Action.ADD_ORDER,
    "CloseOrder": Action.CLOSE_ORDER,
    "ShowOrders": Action.SHOW_ORDERS,
    "ReleaseKeys": Action.RELEASE_KEYS,
    "AddDies": Action.ADD_DIES,
    "ReleaseProfile": Action.RELEASE_PROFILE,
    "ReleaseRecipe": Action.RELEASE_RECIPE,
    "ImportCeremony": Action.IMPORT_CEREMONY,
    "Approve": Action.APPROVE,
    "ShowProposals": Action.SHOW_PROPOSALS,
    "ReleaseUnit": Action.RELEASE_UNIT,
    "ReleaseLine": Action.RELEASE_LINE,
    "Destroy": Action.DESTROY,
    "MarkMissing": Action.MARK_MISSING,
    "Sample": Action.SAMPLE,
    "Return": Action.RETURN,
    "Ship": Action.SHIP,
    "TakeBack": Action.TAKE_BACK,
    "ShowBox": Action.SHOW_BOX,
    "OpenUnit": Action.OPEN_UNIT,
    "AddPerson": Action.ADD_PERSON,
    "ChangeRoles": Action.CHANGE_ROLES,
    "ShowPeople": Action.SHOW_PEOPLE,
    "CloseLot": Action.CLOSE_LOT,
    "Seal": Action.SEAL,
    "Balance": Action.BALANCE,
    "Units": Action.UNITS,
    "RotateLog": Action.ROTATE_LOG,
}
"""The action of each call."""
