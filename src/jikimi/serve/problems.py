"""What can be wrong, said once: every refusal has a code, and its words in Korean and in English.

The API's `detail` is the English of the code; a page says the same in its reader's language. What comes from
below (a camera, a target, the store) has words of its own, which stand in `{detail}`.
"""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from jikimi.errors import (
    BundleError,
    CameraError,
    ConflictError,
    JikimiError,
    NotFoundError,
    PasswordError,
    SettingsError,
    StoreError,
)
from jikimi.serve.shown import veiled

# code → Korean, English. `{name}` is filled in.
PROBLEMS: Mapping[str, tuple[str, str]] = {
    # who asks
    "unknown-caller": (
        "로그인하십시오.",
        "log in, or send a token: Authorization: Bearer TOKEN; jikimi token makes one",
    ),
    "foreign-page": (
        "다른 사이트의 페이지에서 온 요청입니다. 지킴이 화면에서 하십시오.",
        "the request comes from another site's page; send it from Jikimi's own",
    ),
    "no-csrf": (
        "페이지가 오래되었습니다. 새로 고친 뒤에 다시 하십시오.",
        "a session sends X-CSRF-Token with what GET /api/v1/me says of it",
    ),
    "role": (
        "{name}의 역할({role})로는 할 수 없습니다. {needed} 역할이 필요합니다.",
        "{name} is {role}; this needs {needed}",
    ),
    "some-cameras": (
        "{name}은(는) 일부 카메라만 볼 수 있습니다. 이것은 모든 카메라에 관한 것입니다.",
        "{name} may see some cameras; this is about all of them",
    ),
    "wrong-login": ("사용자 또는 비밀번호가 틀립니다.", "name or password is wrong"),
    "wrong-code": (
        "설정 코드가 틀립니다. jikimi serve가 마지막으로 시작할 때 보여 준 것을 넣으십시오.",
        "this is not the code that jikimi serve printed when it last started",
    ),
    "has-users": (
        "이 현장에는 이미 사용자가 있습니다. 로그인하거나 관리자에게 물어보십시오.",
        "this site has users already; log in, or ask an admin",
    ),
    "failed-tries": (
        "틀린 시도가 너무 많습니다. {seconds}초 뒤에 다시 하십시오.",
        "too many failed tries; try again in {seconds} s",
    ),
    "crowded": (
        "한꺼번에 너무 많이 로그인하고 있습니다. 잠시 뒤에 다시 하십시오.",
        "too many log in at once; try again",
    ),
    "no-session": (
        "토큰이 아니라 로그인한 사용자만 할 수 있습니다.",
        "a token asks, and this is about a user; log in",
    ),
    "old-password": ("지금 비밀번호가 틀립니다.", "the old password is wrong"),
    "password": (
        "비밀번호는 {least}~{most}자여야 하고, 이름이거나 한 글자만 되풀이하면 안 됩니다. 문장이 좋습니다.",
        "{detail}",
    ),
    "user-gone": ("이 사용자는 방금 삭제되었습니다.", "this user was removed just now"),
    # what was sent
    "invalid": ("쓸 수 없는 값입니다: {place}", "{detail}"),
    "unusable": ("이 설정은 쓸 수 없습니다: {detail}", "{detail}"),
    "too-large": ("너무 큽니다. {most}바이트까지 받습니다.", "a body of at most {most} bytes is taken"),
    "too-often": (
        "{name}이(가) 너무 자주 시험하고 있습니다. {seconds}초 뒤에 다시 하십시오.",
        "{name} tries too often; try again in {seconds} s",
    ),
    "years": (
        "{first}년부터 {last}년까지의 시각을 넣으십시오.",
        "since, until: years from {first} to {last} are expected",
    ),
    "span-days": (
        "끝은 시작보다 뒤, {days}일 안이어야 합니다.",
        "since, until: more than nothing and {days} days at most",
    ),
    "span": ("끝은 시작보다 뒤여야 합니다.", "since, until: more than nothing is expected"),
    "no-page": (
        "이어서 볼 곳을 알 수 없습니다. 처음부터 다시 보십시오.",
        "after: give what `next` of the page before said",
    ),
    "no-shift": (
        "jikimi.toml에 근무조 {name}이(가) 없습니다.",
        "shift: there is none named {name!r} in jikimi.toml",
    ),
    # incidents and evidence
    "no-incident": (
        "사고 {uid}을(를) 찾을 수 없습니다. 사고 목록에서 고르십시오.",
        "incident {uid!r}: there is none of that uid; see the list of incidents",
    ),
    "nobody-next": (
        "알릴 다음 대상이 없습니다. 알림 대상의 마지막 단계까지 모두 알렸습니다.",
        "incident {uid!r}: there is no further list of targets; everybody of [alerts] escalate was told",
    ),
    "escalated-meanwhile": (
        "방금 다음 단계로 전파되었습니다. 페이지를 새로 고치십시오.",
        "incident {uid!r}: it was escalated meanwhile; look again",
    ),
    "no-file": (
        "그런 증거 파일이 없습니다. 보존 기간이 지나 삭제되었을 수 있습니다.",
        "{about} has no file {number}; it may have been deleted by age",
    ),
    "file-missing": (
        "증거 파일이 디스크에 없습니다: {path}. jikimi evidence verify로 확인하십시오.",
        "{path}: missing on disk; jikimi evidence verify says more",
    ),
    "no-opening": (
        "사고가 시작된 때의 영상이 없습니다. 사고가 끝난 뒤에 생기고, 보존 기간이 지나면 삭제됩니다.",
        "incident {uid!r} has no video of its opening; it comes after the incident, and goes by age",
    ),
    "opening-unseen": (
        "영상에 사고가 시작된 때가 들어 있지 않습니다.",
        "incident {uid!r}: its video does not show its opening",
    ),
    "heat-busy": (
        "지도를 만들고 있습니다. 잠시 뒤에 다시 보십시오.",
        "a map is being made; ask again in a moment",
    ),
    "model-fails": (
        "모델을 돌릴 수 없습니다. 로그를 보십시오.",
        "the model cannot be run; the log says why",
    ),
    "no-report": (
        "신고 {uid}을(를) 찾을 수 없습니다. 신고 목록에서 고르십시오.",
        "report {uid!r}: there is none of that uid; see the list of reports",
    ),
    "others-report": (
        "{by}의 신고입니다. 신고한 사람이나 관리자가 취소할 수 있습니다.",
        "report {uid!r} is {by}'s; they or an admin take it back",
    ),
    "report-span": ("끝은 시작보다 뒤여야 합니다.", "end_at: must be after start_at"),
    "report-long": (
        "5분까지 신고할 수 있습니다. 사고가 난 때만 넣으십시오.",
        "end_at: at most 5 minutes after start_at; report the moment itself",
    ),
    "report-old": (
        "1년이 넘은 때입니다. 그때의 영상은 없습니다.",
        "start_at: over a year ago; there is no footage of that",
    ),
    "report-future": (
        "아직 오지 않은 때입니다. 이미 일어난 일을 신고하십시오.",
        "end_at: lies in the future; report what has happened",
    ),
    "report-behavior": (
        "놓친 사고의 행동을 고르십시오: {known}",
        "behavior: a missed accident is one of {known}",
    ),
    "report-normal": (
        "정상 신고에는 행동을 적지 않습니다.",
        "behavior: normal work has none; leave it out",
    ),
    # cameras
    "no-camera": (
        "카메라 {name}을(를) 찾을 수 없습니다. 카메라 목록에서 고르십시오.",
        "camera {name!r}: there is none of that name; see the list of cameras",
    ),
    "camera-unwatched": (
        "카메라 {name}은(는) 아직 감시하지 않습니다. 잠시 뒤에 다시 보십시오.",
        "camera {name!r} is not watched yet; look again in a moment",
    ),
    "camera-fixed": (
        "카메라 {name}은(는) jikimi.toml에 있습니다. 그 파일에서 바꾸십시오.",
        "camera {name!r} is in jikimi.toml; change it there",
    ),
    "camera-dark": ("카메라 {name}: 지금은 화면이 없습니다.", "camera {name!r}: no picture now"),
    "camera-late": (
        "카메라 시험이 제시간에 끝나지 않았습니다. 다시 하십시오.",
        "the camera is not tried in time; try again",
    ),
    "camera-login": ("카메라가 거절했습니다. 사용자와 비밀번호를 확인하십시오. ({detail})", "{detail}"),
    "camera-rights": (
        "이 사용자는 그 스트림을 볼 수 없습니다. 카메라에서 권한을 확인하십시오. ({detail})",
        "{detail}",
    ),
    "camera-path": ("카메라에 그런 경로가 없습니다. 주소의 경로를 확인하십시오. ({detail})", "{detail}"),
    "camera-refused": (
        "그 주소에서 아무것도 응답하지 않습니다. 호스트와 포트를 확인하십시오. ({detail})",
        "{detail}",
    ),
    "camera-unreachable": (
        "카메라에 닿지 않습니다. 네트워크와 호스트를 확인하십시오. ({detail})",
        "{detail}",
    ),
    "camera-unknown-host": ("호스트 이름을 찾을 수 없습니다. 이름을 확인하십시오. ({detail})", "{detail}"),
    "camera-silent": (
        "화면이 오지 않습니다. 카메라의 전원과 케이블, 주소를 확인하십시오. ({detail})",
        "{detail}",
    ),
    "camera-fails": ("카메라를 열 수 없습니다: {detail}", "{detail}"),
    "address-never": (
        "{address}: 카메라의 주소가 아닙니다. 이 컴퓨터 자신이나 예약된 곳으로 이어집니다.",
        "{address}: {why}; give a camera's address",
    ),
    "address-scheme": ("{address}: {schemes} 중 하나로 시작해야 합니다.", "{address}: use {schemes}"),
    "address-signs": (
        r"주소의 로그인이나 경로에 든 /, ?, #, @, \는 %2F, %3F, %23, %40, %5C로 쓰십시오.",
        r"address: write '/', '?', '#', '@' and '\' in a log-in or path as %2F, %3F, %23, %40 and %5C",
    ),
    "address-hidden": (
        "{address}: 로그인이 가려져 있습니다. 사용자와 비밀번호를 다시 넣으십시오.",
        "{address}: the log-in is hidden here; enter it again",
    ),
    "address-form": (
        "{address}: {scheme}://호스트:포트/경로 꼴이어야 합니다.",
        "{address}: {scheme}://HOST:PORT/PATH is expected",
    ),
    "address-listens": (
        "{address}: 카메라에 연결하는 주소여야 합니다. mode=를 빼십시오.",
        "{address}: cameras are called and not waited for; leave mode= out",
    ),
    "address-slow": (
        "{host}을(를) {seconds}초 안에 찾지 못했습니다. 이름 서버를 확인하거나 IP를 넣으십시오.",
        "address: {host} is not found in {seconds} s; check the name server, or give an IP",
    ),
    "address-unknown": (
        "{host}을(를) 찾을 수 없습니다. 이름을 확인하거나 IP를 넣으십시오.",
        "address: {host} is not known; check the name, or give an IP",
    ),
    "address-file": (
        "네트워크 주소나 {media}에 있는 파일을 넣으십시오.",
        "address: give a network address, or a file that lies in {media}",
    ),
    "demo-cameras": (
        "이미 카메라가 있습니다. 데모는 카메라가 없는 현장에서만 볼 수 있습니다.",
        "there are cameras already; the demo is for a site that has none",
    ),
    "demo-room": (
        "{folder}에 쓸 수 없습니다({why}). 자리를 만들거나 이 사용자에게 권한을 주십시오.",
        "{folder}: {why}; make room, or give it to this user",
    ),
    # the site
    "not-started": (
        "현장이 아직 시작하지 않았습니다. 잠시 뒤에 다시 보십시오.",
        "the site has not started yet; look again in a moment",
    ),
    "no-target": (
        "알림 대상 {name}을(를) 찾을 수 없습니다.",
        "target {name!r}: there is none of that name; see the list of targets",
    ),
    "target-fixed": (
        "알림 대상 {name}은(는) jikimi.toml에 있습니다. 그 파일에서 바꾸십시오.",
        "target {name!r} is in jikimi.toml; change it there",
    ),
    "target-listed": (
        "알림 대상 {name}은(는) 알릴 순서에 들어 있습니다. 먼저 거기서 빼십시오.",
        "target {name!r} is in the lists of those to tell; take it out of them first",
    ),
    "no-setting": (
        "설정 {key}은(는) 여기서 바꿀 수 없습니다. 설정 목록에서 고르십시오.",
        "setting {key!r}: none of that name may be changed; see the list of settings",
    ),
    "setting-fixed": (
        "{key}은(는) 환경 변수 {variable}로 정해져 있습니다. 거기서 바꾸십시오.",
        "{key}: {variable} of the environment holds; change it there",
    ),
    "target-late": (
        "알림 시험이 제시간에 끝나지 않았습니다. 다시 하십시오.",
        "the target is not tried in time; try again",
    ),
    "target-fails": ("알림이 도착하지 않았습니다: {detail}", "{detail}"),
    # users and tokens
    "user-exists": (
        "사용자 {name}은(는) 이미 있습니다.",
        "user {name!r}: there is one; PUT …/password gives another password",
    ),
    "user-password": ("새 사용자에게는 비밀번호가 필요합니다.", "user {name!r}: a new user needs a password"),
    "user-raced": (
        "다른 사람이 방금 사용자 {name}을(를) 만들었습니다. 다시 보십시오.",
        "user {name!r}: somebody else added one just now; look again",
    ),
    "user-named": (
        "사용자 {name}이(가) 있습니다. 다른 이름을 고르십시오.",
        "there is a user {name!r}; choose another name",
    ),
    "token-named": (
        "토큰 {name}이(가) 있습니다. 다른 이름을 고르십시오.",
        "there is a token {name!r}; choose another name",
    ),
    "token-fixed": (
        "토큰 {name}은(는) jikimi.toml에 있습니다. 그 파일에서 지우십시오.",
        "token {name!r} is in jikimi.toml; take it back there",
    ),
    # models
    "bundle": ("쓸 수 있는 모델 파일(.jikimi)이 아닙니다: {detail}", "{detail}"),
    "model-late": (
        "모델 확인이 제시간에 끝나지 않았습니다. 다시 하십시오.",
        "the model is not checked in time; try again",
    ),
    "model-unkept": ("모델을 저장할 수 없습니다: {why}", "the model cannot be kept: {why}"),
    "model-file-stays": (
        "모델 {name}은(는) 삭제했지만 파일이 남았습니다: {why}",
        "model {name!r} is removed, its file is not: {why}",
    ),
    "model-itself": (
        "감시하는 모델을 자신과 나란히 시험할 수 없습니다.",
        "the champion cannot challenge itself",
    ),
    "model-watches": ("이미 이 모델로 감시하고 있습니다.", "this model watches already"),
    "no-model-before": (
        "되돌릴 이전 모델이 없습니다.",
        "no model was promoted: there is none to roll back to",
    ),
    "model-fixed": (
        "jikimi.toml의 [model] bundle이 감시하는 모델을 정했습니다. "
        "그것을 지우고 다시 시작하면 바꿀 수 있습니다.",
        "[model] bundle in jikimi.toml names the model that watches; delete it there and restart, "
        "then one can be promoted",
    ),
    "no-model": (
        "모델 {sha256}을(를) 찾을 수 없습니다. 모델 목록에서 고르십시오.",
        "model {sha256!r}: there is none of that hash; see the list of models",
    ),
    "model-damaged": (
        "모델 {name}의 파일이 손상되었거나 없습니다. 다시 올리십시오.",
        "model {name!r}: its file is damaged or gone; add it again",
    ),
    "upload-busy": (
        "다른 모델을 올리고 있습니다. 1분 뒤에 다시 하십시오.",
        "another model is being added; try again in a minute",
    ),
    "upload-room": (
        "모델을 둘 자리가 없습니다. 남은 디스크는 증거에 필요합니다. 자리를 만드십시오.",
        "no room for a model: evidence needs what is left of the disk; make room",
    ),
    "upload-slow": (
        "모델이 {seconds}초 안에 오지 않았습니다.",
        "the model did not come within {seconds} s",
    ),
    "upload-ended": (
        "모델이 다 오기 전에 연결이 끊겼습니다.",
        "the connection ended before the model had come",
    ),
    "upload-empty": ("모델 파일(.jikimi)을 보내십시오.", "a bundle is expected as the body: a .jikimi file"),
    # whatever comes from below
    "not-found": ("찾을 수 없습니다. 그동안 없어졌을 수 있습니다. ({detail})", "{detail}"),
    "conflict": ("지금 상태에서는 할 수 없습니다: {detail}", "{detail}"),
    "store": ("데이터베이스를 지금 쓸 수 없습니다. 잠시 뒤에 다시 하십시오. ({detail})", "{detail}"),
    "inside": (
        "안에서 문제가 생겼습니다. 로그를 보십시오.",
        "this failed inside; the log says where",
    ),
    "other": ("할 수 없습니다: {detail}", "{detail}"),
}


class Refusal(HTTPException):
    """A request that is refused, by its code; `values` fill the words.

    Raises:
        KeyError: no such code, or a value of its words is missing.
    """

    def __init__(
        self, status_code: int, code: str, headers: Mapping[str, str] | None = None, **values: object
    ) -> None:
        self.code = code
        self.values = {key: str(value) for key, value in values.items()}
        super().__init__(status_code, PROBLEMS[code][1].format(**self.values), headers)


class Unusable(SettingsError):
    """Settings that cannot be used, by their code; `values` fill the words. Raises KeyError as `Refusal`."""

    def __init__(self, code: str, **values: object) -> None:
        self.code = code
        self.values = {key: str(value) for key, value in values.items()}
        super().__init__(PROBLEMS[code][1].format(**self.values))


_STATUSES: tuple[tuple[type[JikimiError], int, str], ...] = (
    (NotFoundError, 404, "not-found"),
    (ConflictError, 409, "conflict"),
    (StoreError, 503, "store"),
    (PasswordError, 422, "password"),
    (SettingsError, 422, "unusable"),
    (BundleError, 409, "bundle"),  # of a file of this site; what is sent is answered 422
)


def refusal_of(error: JikimiError) -> tuple[int, str, Mapping[str, str]]:
    """One of our own errors as it is answered → status, code, values. Pure."""
    status, code = next(((s, c) for kind, s, c in _STATUSES if isinstance(error, kind)), (500, "other"))
    if isinstance(error, Unusable):
        return status, error.code, error.values
    values = {"detail": str(error)}
    if isinstance(error, PasswordError):
        values |= {"least": str(error.least), "most": str(error.most)}
    return status, code, values


def camera_code(error: JikimiError) -> str:
    """The code of what a camera that was tried failed with. Pure."""
    return f"camera-{error.cause}" if isinstance(error, CameraError) else "camera-fails"


def problem(
    status: int, code: str, headers: Mapping[str, str] | None = None, **values: object
) -> JSONResponse:
    """An answer that says what is wrong."""
    shown = {key: veiled(str(value)) for key, value in values.items()}
    detail = PROBLEMS[code][1].format(**shown)
    body: dict[str, Any] = {"detail": detail, "code": code, "values": shown}
    return JSONResponse(body, status_code=status, headers=headers)
