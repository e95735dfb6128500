"""The words of the pages in Korean and English: every key has both, and a test holds them to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal

from jikimi.alert.wording import fault_name
from jikimi.behaviors import Behavior
from jikimi.serve.problems import PROBLEMS

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")

# key → Korean, English. `{name}` is filled in.
WORDS: Mapping[str, tuple[str, str]] = {
    # the frame
    "live": ("실시간", "Live"),
    "incidents": ("사고", "Incidents"),
    "cameras": ("카메라", "Cameras"),
    "overview": ("현황", "Overview"),
    "learning": ("학습", "Learning"),
    "settings": ("설정", "Settings"),
    "skip": ("본문으로 건너뛰기", "Skip to content"),
    "menu": ("메뉴", "Menu"),
    "language": ("English", "한국어"),
    "theme": ("밝기 바꾸기", "Switch light and dark"),
    "log-out": ("로그아웃", "Log out"),
    "sound-off": ("소리가 꺼져 있습니다. 켜려면 누르십시오.", "Sound is off. Press to switch it on."),
    "disconnected": (
        "서버와 연결이 끊겼습니다. 다시 연결하는 중…",
        "The connection to the server is lost. Connecting again…",
    ),
    "faults-now": ("고장: {faults}", "Faults: {faults}"),
    # logging in
    "log-in": ("로그인", "Log in"),
    "user": ("사용자", "User"),
    "password": ("비밀번호", "Password"),
    "set-up-code": ("설정 코드", "Set-up code"),
    "first-user": ("첫 관리자 만들기", "Make the first administrator"),
    "first-user-why": (
        "아직 사용자가 없습니다. jikimi serve가 시작할 때 보여 준 설정 코드를 입력하십시오.",
        "There is no user yet. Enter the set-up code that jikimi serve showed when it started.",
    ),
    # what a camera is
    "connecting": ("연결 중", "Connecting"),
    "state-live": ("감시 중", "Watching"),
    "stalled": ("멈춤", "Stalled"),
    "backing-off": ("재연결 대기", "Waiting to reconnect"),
    "disabled": ("꺼짐", "Off"),
    "off-duty": ("감시 시간 아님", "Off duty"),
    "shelved-until": ("{time}까지 보류", "Shelved until {time}"),
    "picture-age": ("화면 {seconds}초 전", "Picture {seconds} s ago"),
    "no-picture": ("화면 없음", "No picture"),
    "no-camera": ("아직 카메라가 없습니다.", "There is no camera yet."),
    "step-camera": (
        "카메라를 추가하십시오. 아직 없으면 데모 카메라로 시작할 수 있습니다.",
        "Add a camera. Without one at hand, begin with the demo cameras.",
    ),
    "demo-cameras": ("데모 카메라 보기", "Watch the demo cameras"),
    "step-target": (
        "누구에게 알릴지 설정에서 추가하고, 시험 알림을 보내 보십시오.",
        "Add whom to alert in the settings, and send a test alert.",
    ),
    "step-look": (
        "사고가 나면 이 화면이 소리와 함께 알립니다. 맞는지 답해 주시면 그 답에서 배웁니다.",
        "An incident takes over this screen, with sound. Say what it was: Jikimi learns from the answer.",
    ),
    # incidents
    "behavior": ("행동", "Behaviour"),
    "accident-type": ("사고 유형", "Accident type"),
    "camera": ("카메라", "Camera"),
    "zone": ("구역", "Zone"),
    "time": ("시각", "Time"),
    "score": ("점수", "Score"),
    "peak": ("최고 점수", "Peak score"),
    "duration": ("지속", "Duration"),
    "lasts": ("진행 중", "Going on"),
    "answer": ("판정", "Answer"),
    "unanswered": ("미판정", "Unanswered"),
    "correct": ("맞음", "Correct"),
    "false-alarm": ("오경보", "False alarm"),
    "other-behavior": ("다른 행동", "Other behaviour"),
    "unsure": ("모름", "Unsure"),
    "note": ("메모", "Note"),
    "choose-answer": ("먼저 판정을 고르십시오.", "Choose an answer first."),
    "save": ("저장", "Save"),
    "acknowledge": ("확인", "Acknowledge"),
    "acknowledged-by": ("{name} 확인", "Acknowledged by {name}"),
    "unacknowledged": ("미확인", "Unacknowledged"),
    "lock": ("증거 잠금", "Lock evidence"),
    "unlock": ("잠금 해제", "Unlock evidence"),
    "locked": ("잠김", "Locked"),
    "download": ("내려받기", "Download"),
    "evidence": ("증거", "Evidence"),
    "no-evidence": ("아직 증거가 없습니다.", "There is no evidence yet."),
    "deciding-frames": ("판단한 장면", "Deciding frames"),
    "transitions": ("경과", "What happened"),
    "deliveries": ("알림", "Alerts"),
    "model": ("모델", "Model"),
    "all": ("전체", "All"),
    "from": ("부터", "From"),
    "to": ("까지", "To"),
    "more": ("더 보기", "More"),
    "timeline": ("시간표: 점을 누르면 그 사고를 엽니다.", "Timeline: press a point to open its incident."),
    "nothing-found": ("찾은 것이 없습니다.", "Nothing found."),
    "incident-of": ("{behavior} · {camera}", "{behavior} · {camera}"),
    "bell": ("확인하지 않은 사고 {n}건", "{n} incidents not acknowledged"),
    "possible-accident": ("사고 의심", "Possible accident"),
    "put-away": ("이 화면에서 치우기", "Put away here"),
    "look": ("보기", "Look"),
    "fault": ("고장", "Fault"),
    "opened": ("발생", "Opened"),
    "updated": ("점수 변화", "Score changed"),
    "closed": ("종료", "Closed"),
    "acknowledged": ("확인", "Acknowledged"),
    "escalated": ("다음 단계로 전파", "Escalated"),
    "answered": ("판정", "Answered"),
    "unlocked": ("잠금 해제", "Unlocked"),
    "due": ("대기", "Waiting"),
    "delivered": ("전달됨", "Delivered"),
    "given-up": ("포기함", "Given up"),
    "tries": ("{n}회 시도", "{n} tries"),
    "refused": ("열 수 없습니다", "This cannot be shown"),
    # what a camera is: more
    "unwatched": ("아직 감시하지 않음", "Not watched yet"),
    "state": ("상태", "State"),
    "stream": ("영상", "Stream"),
    "coverage-day": ("감시율(24시간)", "Coverage, 24 h"),
    "coverage-week": ("감시율, 지난 7일 (%)", "Coverage, last 7 days (%)"),
    "coverage": ("감시율", "Coverage"),
    "faults": ("고장", "Faults"),
    "no-faults": ("고장이 없었습니다.", "There was no fault."),
    "add-camera": ("카메라 추가", "Add a camera"),
    "fixed-camera": (
        "이 카메라는 jikimi.toml에 있습니다. 바꾸려면 그 파일을 고치십시오.",
        "This camera is in jikimi.toml. Change it there.",
    ),
    "shelve": ("알림 보류", "Shelving"),
    "shelve-why": (
        "정비 중일 때 사고 알림을 잠시 멈춥니다. 저절로 끝나며, 그동안에도 감시는 계속됩니다.",
        "Raises nothing for a while, as during maintenance. It ends by itself; watching goes on.",
    ),
    "end-now": ("지금 끝내기", "End now"),
    "minutes": ("{n}분", "{n} min"),
    "hours-n": ("{n}시간", "{n} h"),
    "seconds": ("{n}초", "{n} s"),
    "days-n": ("{n}일", "{n} d"),
    "regions": ("구역과 마스크", "Zones and masks"),
    "regions-later": ("저장한 뒤에 화면 위에 그릴 수 있습니다.", "After saving, draw them on the picture."),
    "draw-how": (
        "종류를 고르고 화면을 눌러 꼭짓점을 넣으십시오. 끌어서 옮기고, 두 번 눌러 지웁니다. "
        "키보드: Enter로 넣고, 화살표로 옮기고, Delete로 지웁니다.",
        "Choose a kind and press on the picture for each corner. Drag to move, "
        "double-press to remove. Keys: Enter adds, arrows move, Delete removes.",
    ),
    "region-zone": ("감시 구역", "Zone"),
    "region-ignore": ("무시 마스크", "Ignored"),
    "region-blacken": ("검정 마스크", "Blackened"),
    "corner": ("꼭짓점 {n}", "Corner {n}"),
    "corners": ("꼭짓점 {n}개", "{n} corners"),
    "where": ("주소", "Address"),
    "name": ("이름", "Name"),
    "address": ("메인 스트림 주소", "Address of the main stream"),
    "sub-address": ("서브 스트림 주소 (없어도 됨)", "Address of the sub-stream (optional)"),
    "sub-why": (
        "있으면 이것을 분석하고 메인 스트림은 녹화만 합니다.",
        "Where there is one it is analysed, and the main stream is only recorded.",
    ),
    "enabled": ("감시함", "Watched"),
    "test": ("시험", "Test"),
    "behaviors": ("행동과 기준 점수", "Behaviours and thresholds"),
    "threshold": ("기준 점수", "Threshold"),
    "schedule": ("감시 시간", "Schedule"),
    "schedule-why": ("비어 있으면 항상 감시합니다.", "Empty: it is always watched."),
    "add-hours": ("시간 추가", "Add hours"),
    "days": ("요일", "Days"),
    "mon": ("월", "Mon"),
    "tue": ("화", "Tue"),
    "wed": ("수", "Wed"),
    "thu": ("목", "Thu"),
    "fri": ("금", "Fri"),
    "sat": ("토", "Sat"),
    "sun": ("일", "Sun"),
    "remove": ("삭제", "Remove"),
    "cancel": ("취소", "Cancel"),
    "close": ("닫기", "Close"),
    "remove-camera-sure": (
        "카메라 {name}을(를) 삭제할까요? 사고와 증거는 남습니다.",
        "Remove camera {name}? Its incidents and evidence stay.",
    ),
    # incidents: more
    "still": ("대표 장면", "Still"),
    "heat": ("모델이 본 곳", "Where the model looked"),
    "heat-why": (
        "빨간 곳을 가리면 점수가 가장 많이 떨어집니다. 만드는 데 몇 초 걸립니다.",
        "Hiding what is red takes most of the score. Making it takes seconds.",
    ),
    "heat-show": ("보기", "Show"),
    "heat-making": ("만드는 중입니다…", "Being made…"),
    "heat-again": ("다시 하기", "Try again"),
    "heat-score": ("가린 곳이 없을 때 점수 {score}", "Score with nothing hidden: {score}"),
    "escalate": ("다음 단계로 전파", "Escalate"),
    "escalate-sure": ("지금 알릴까요? {targets}", "Tell these now? {targets}"),
    "everybody-told": ("모든 단계에 알렸습니다.", "Every list was told."),
    "viewers": ("증거를 본 사람", "Who looked at the evidence"),
    "nobody-looked": ("아직 아무도 보지 않았습니다.", "Nobody has looked yet."),
    "curve-raw": ("점수 (가는 선)", "Score (thin)"),
    "curve-mean": ("최근 {n}번의 평균", "Mean of the last {n}"),
    "curve-on": ("발생 기준 {score}", "Raised from {score}"),
    "curve-off": ("종료 기준 {score}", "Over below {score}"),
    "threshold-of": ("기준 {score}", "Threshold {score}"),
    "fired": ("지난 7일 동안 {n}번 기준을 넘음", "Over the threshold {n} times in the last 7 days"),
    "score-curve": ("점수 변화", "Scores over time"),
    "incomplete": ("온전하지 않음: {detail}", "Incomplete: {detail}"),
    "evidence-gone": ("보존 기간이 지나 삭제되었습니다.", "Deleted when its time was over."),
    "nobody-told": ("알린 곳이 없습니다.", "Nobody was told."),
    # overview
    "last-days": ("지난 {n}일", "Last {n} days"),
    "all-cameras": ("모든 카메라", "All cameras"),
    "whole-site": ("현장 전체", "Whole site"),
    "monthly-report": ("월간 보고서", "Monthly report"),
    "report-of": ("{site} 안전 감시 보고서, {month}", "{site}: safety watch report, {month}"),
    "month": ("월", "Month"),
    "month-not-over": ("아직 끝나지 않은 달입니다.", "This month is not over yet."),
    "print": ("인쇄", "Print"),
    "figures": ("지표", "Figures"),
    "accident-types": ("사고 유형별", "By accident type"),
    "raised": ("감지", "Raised"),
    "confirmed": ("확인된 사고", "Confirmed"),
    "change": ("전월 대비", "Change"),
    "confirmed-accidents": ("확인된 사고", "Confirmed accidents"),
    "no-accidents": ("확인된 사고가 없습니다.", "No accident was confirmed."),
    "false-alarm-share": ("오경보 비율 (95 % 구간)", "False-alarm share (95 % interval)"),
    "false-alarms-hour": ("카메라 시간당 오경보 (상한)", "False alarms a camera-hour (upper bound)"),
    "response-median": ("확인까지, 중앙값", "Until acknowledged, median"),
    "response-p90": ("확인까지, 90 %", "Until acknowledged, 90 %"),
    "over-time": ("시간에 따라", "Over time"),
    "by-behavior": ("행동별", "By behaviour"),
    "by-camera": ("카메라별", "By camera"),
    "by-hour": ("시각별", "By hour of the day"),
    "by-weekday": ("요일별", "By weekday"),
    "response-times": ("확인까지 걸린 시간", "Time until acknowledged"),
    "over": ("그 이상", "over"),
    "coverage-by-shift": ("근무조별 감시율", "Coverage by shift"),
    "shift": ("근무조", "Shift"),
    "count": ("횟수", "Times"),
    "target": ("알림 대상", "Target"),
    "median": ("중앙값", "Median"),
    "nothing": ("없음", "None"),
    # learning
    "models": ("모델", "Models"),
    "model-fixed": (
        "jikimi.toml이 모델을 정했습니다. 여기서는 바꿀 수 없습니다.",
        "jikimi.toml names the model. It cannot be changed here.",
    ),
    "model-card": ("모델 카드", "Model card"),
    "champion": ("감시하는 모델", "Champion"),
    "challenger": ("도전 모델", "Challenger"),
    "upload-model": ("모델 올리기", "Upload a model"),
    "uploading": ("보내는 중 {share} %", "Sending, {share} %"),
    "checking": ("확인하는 중…", "Checking…"),
    "roll-back": ("이전 모델로 되돌리기", "Roll back"),
    "challenge": ("나란히 시험", "Run beside"),
    "end-challenge": ("시험 끝내기", "End the run"),
    "promote": ("이 모델로 감시", "Promote"),
    "promote-sure": (
        "모델 {name}(으)로 감시할까요? 바뀌는 몇 초 동안은 감시하지 못합니다.",
        "Let model {name} watch? Nothing is watched for the few seconds of the change.",
    ),
    "behaviors-only": ("행동", "Behaviours"),
    "window": ("한 번에 보는 시간", "Window"),
    "precision": ("정밀도", "Precision"),
    "comparison": ("{champion} 과 {challenger} 비교", "{champion} beside {challenger}"),
    "compared-for": ("{since}부터, 카메라 {hours}시간", "since {since}, {hours} camera-hours"),
    "champion-counts": ("감시 모델 (맞음 / 오경보)", "Champion (correct / false)"),
    "challenger-counts": ("도전 모델 (맞음 / 오경보)", "Challenger (correct / false)"),
    "both-raised": ("둘 다", "Both"),
    "feedback": ("판정에서 배우기", "From answers to a data set"),
    "feedback-why": ("학습에 쓸 수 있는 영상 {n}개", "{n} clips to learn from"),
    "of-answers": ("판정", "Answers"),
    "of-reports": ("신고", "Reports"),
    "left-out": ("빠진 것", "Left out"),
    "left-unanswered": ("미판정", "Unanswered"),
    "left-unsure": ("모름으로 판정", "Answered unsure"),
    "left-unnamed": ("어떤 행동인지 적지 않음", "Another behaviour, not named"),
    "left-unknown-behavior": ("모델이 모르는 행동", "A behaviour unknown to the model"),
    "left-waiting": ("영상을 자르는 중", "Its film is being cut"),
    "left-no-video": ("영상 없음", "No video"),
    "left-missing": ("파일 없음", "File missing"),
    "left-changed": ("파일이 바뀜", "File changed"),
    "reports": ("신고", "Reports"),
    "no-reports": ("신고가 없습니다.", "There are no reports."),
    "report-missed": ("놓친 사고 신고", "Report a missed accident"),
    "report-why": (
        "알림이 없었던 사고, 또는 정상임이 확실한 때를 알려 주십시오. 최근 영상에서 잘라 보관합니다.",
        "Tell of an accident that nothing was raised for, or of a time that was normal. Its film is kept.",
    ),
    "report-send": ("신고", "Report"),
    "report": ("신고", "Report"),
    "report-of-missed": ("놓친 사고: {behavior} · {camera}", "Missed: {behavior} · {camera}"),
    "report-of-normal": ("정상 신고 · {camera}", "Reported as normal · {camera}"),
    "reported-by": ("신고한 사람", "Reported by"),
    "reported-at": ("신고 시각", "Reported"),
    "film-lacking": ("영상이 없거나 일부만 있습니다.", "There is no film, or only a part."),
    "withdraw": ("신고 취소", "Take back"),
    "withdraw-sure": (
        "이 신고를 취소할까요? 영상은 보존 기간이 지나면 삭제됩니다.",
        "Take this report back? Its film goes by age then.",
    ),
    "replay-held": ("영상이 남아 있는 때: {spans}", "There is footage of: {spans}"),
    "replay-none": (
        "이 카메라의 지난 영상이 남아 있지 않습니다. 신고는 남지만 영상은 없습니다.",
        "No footage of this camera is held. The report stays, without a film.",
    ),
    "replay-outside": (
        "이 시간의 영상은 남아 있지 않거나 일부만 있습니다.",
        "Of this time there is no footage, or only of a part of it.",
    ),
    "no-moment": ("시각을 바르게 넣으십시오.", "Enter both times."),
    "kind-normal": ("정상", "Normal"),
    "cutting": ("영상을 자르는 중", "Its film is being cut"),
    "kept": ("보관함", "Kept"),
    # settings
    "my-password": ("내 비밀번호", "My password"),
    "password-old": ("지금 비밀번호", "Current password"),
    "password-new": ("새 비밀번호", "New password"),
    "password-rule": (
        "비밀번호는 10자 이상, 이름과 달라야 합니다.",
        "10 characters or more, not the name.",
    ),
    "saved": ("저장했습니다.", "Saved."),
    "users": ("사용자", "Users"),
    "add-user": ("사용자 추가", "Add a user"),
    "change-user": ("{name} 바꾸기", "Change {name}"),
    "role": ("역할", "Role"),
    "role-viewer": ("보기", "Viewer"),
    "role-operator": ("운영자", "Operator"),
    "role-admin": ("관리자", "Administrator"),
    "only-cameras": ("이 카메라만 (비우면 전체)", "Only these cameras (empty: all)"),
    "tokens": ("API 토큰", "API tokens"),
    "tokens-why": ("다른 프로그램이 API를 쓸 때 씁니다.", "For other programs that use the API."),
    "make-token": ("토큰 만들기", "Make a token"),
    "token-once": ("지금 한 번만 보입니다. 복사해 두십시오.", "Shown this once. Copy it now."),
    "targets": ("알림 대상", "Targets"),
    "no-targets": ("알림 대상이 없습니다. 아무에게도 알리지 않습니다.", "Nobody is alerted: add a target."),
    "targets-why": (
        "사고와 고장을 알리는 곳입니다. 주소와 비밀 값은 암호화해 보관하고 다시 보여 주지 않습니다.",
        "Whom incidents and faults are told to. Addresses and secrets are kept encrypted, never shown again.",
    ),
    "add-target": ("알림 대상 추가", "Add a target"),
    "change-target": ("{name} 바꾸기", "Change {name}"),
    "name-taken": ("이미 있는 이름입니다.", "There is one of that name."),
    "remove-target-sure": ("알림 대상 {name}을(를) 삭제할까요?", "Remove target {name}?"),
    "target-kind": ("방법", "Kind"),
    "kind-webhook": ("웹훅", "Webhook"),
    "kind-mqtt": ("MQTT", "MQTT"),
    "kind-apprise": ("메일·메신저 (Apprise)", "Mail, messengers (Apprise)"),
    "target-url": ("주소(URL)", "Address (URL)"),
    "target-secret": ("서명 비밀 값", "Secret for signing"),
    "as-stored": ("비우면 저장된 값을 그대로 씁니다.", "Empty: as it is stored."),
    "topic": ("MQTT 토픽", "MQTT topic"),
    "discovery": (
        "Home Assistant 검색 접두사 (비우면 없음)",
        "Home Assistant discovery prefix (empty: none)",
    ),
    "tell-faults": ("고장도 알림", "Told of faults too"),
    "no-faults-told": ("사고만", "Incidents only"),
    "from-file": ("jikimi.toml에서 바꿉니다.", "Changed in jikimi.toml."),
    "test-arrived": ("시험 알림이 {seconds}초 만에 도착했습니다.", "The test arrived after {seconds} s."),
    "testing": ("시험하는 중…", "Testing…"),
    "who-first": ("알리는 순서", "Who is told first"),
    "who-first-why": (
        "아무도 확인하지 않으면 다음 줄로 넘어갑니다. 줄이 없으면 모두에게 한꺼번에 알립니다.",
        "While nobody acknowledges, the next list is told. Without lists everybody is told at once.",
    ),
    "list-n": ("{n}번째로 알릴 곳", "Told as number {n}"),
    "add-list": ("줄 추가", "Add a list"),
    "site": ("현장", "Site"),
    "site-name": ("현장 이름", "Name of the site"),
    "alert-language": ("알림 언어", "Language of alerts"),
    "korean": ("한국어", "Korean"),
    "english": ("영어", "English"),
    "retention": ("증거와 보존", "Evidence and retention"),
    "camera-health": ("카메라 고장 판단", "When a camera is at fault"),
    "shifts": ("근무조", "Shifts"),
    "shifts-why": ("근무조별 감시율과 사고를 볼 때 씁니다.", "For coverage and incidents by shift."),
    "add-shift": ("근무조 추가", "Add a shift"),
    "no-shifts": ("근무조가 없습니다.", "There are no shifts."),
    "pre-roll": ("사고 전 녹화(초)", "Recorded before an incident (s)"),
    "post-roll": ("사고 후 녹화(초)", "Recorded after an incident (s)"),
    "min-free-gb": ("비워 둘 디스크(GB)", "Kept free on the disk (GB)"),
    "replay-minutes": ("전체 영상 보관(분, 0이면 안 함)", "Everything is kept for (min; 0: not at all)"),
    "offline-after": ("화면이 없으면 고장(초)", "At fault without pictures for (s)"),
    "frozen-after": ("화면이 멈추면 고장(초)", "At fault with a frozen picture for (s)"),
    "origin-default": ("기본값", "Default"),
    "origin-environment": (
        "환경 변수가 정합니다. 여기서는 바꿀 수 없습니다.",
        "Set by the environment; it cannot be changed here.",
    ),
    "origin-stored": ("{name}이(가) {time}에 바꿈", "Changed by {name}, {time}"),
    "otherwise": ("jikimi.toml: {value}", "jikimi.toml: {value}"),
    "otherwise-default": ("기본값: {value}", "Default: {value}"),
    "return-to-file": ("jikimi.toml 값으로 되돌리기", "Return to jikimi.toml"),
    "return-to-default": ("기본값으로 되돌리기", "Return to the default"),
    "cameras-anew": (
        "저장하면 모든 카메라를 다시 엽니다. 2초쯤 감시하지 못합니다.",
        "Saving opens every camera anew: about 2 s unwatched.",
    ),
    "next-incident": ("다음 사고부터 적용됩니다.", "From the next incident on."),
    "range-over": ("{over}보다 크고 {most} 이하여야 합니다.", "More than {over}, at most {most}."),
    "range-least": ("{least} 이상 {most} 이하여야 합니다.", "From {least} to {most}."),
    "value-missing": ("값을 넣으십시오.", "Enter a value."),
    "deletes-sure": (
        "더 적게 보관합니다. 넘치는 증거는 바로, 영영 지워집니다. 잠근 증거는 남습니다. 저장할까요?",
        "Less is kept. Evidence beyond it is deleted at once and for good; locked evidence stays. Save?",
    ),
    "n-entries": ("{n}개", "{n} entries"),
    "time-zone": ("시간대", "Time zone"),
    "machines-own": ("이 컴퓨터의 시간대", "This machine's own"),
    "keep-days": ("증거 보존(일)", "Evidence is kept for (days)"),
    "max-gb": ("증거 최대 용량(GB)", "Most room for evidence (GB)"),
    "escalate-after": ("확인이 없으면 다음으로(초)", "Next list after (s)"),
    "system-health": ("시스템 상태", "System health"),
    "watching": ("모든 카메라를 감시하고 있습니다.", "Every camera is watched."),
    "not-watching": ("감시하지 못하는 카메라가 있습니다.", "Not every camera is watched."),
    "detector": ("감지기", "Detector"),
    "running": ("작동 중", "Running"),
    "since": ("시작", "Since"),
    "version": ("버전", "Version"),
    "disk-free": ("디스크 여유", "Free disk space"),
    "audit": ("감사 기록", "Audit trail"),
    "what": ("한 일", "What"),
    "about": ("대상", "About"),
    # what a test of a camera found
    "trying": ("카메라를 열어 보는 중… 10초까지 걸립니다.", "Opening the camera… this takes up to 10 s."),
    "main-stream": ("메인 스트림", "Main stream"),
    "sub-stream": ("서브 스트림", "Sub-stream"),
    "only-stream": ("스트림", "Stream"),
    "found-address": ("주소", "Address"),
    "found-codec": ("코덱", "Codec"),
    "found-size": ("크기", "Size"),
    "found-rate": ("초당 장면", "Pictures a second"),
    "found-latency": ("첫 화면까지", "Until the first picture"),
    "found-keyframes": ("키프레임 간격", "Between keyframes"),
    "found-unknown": ("{seconds}초 동안 알 수 없음", "not seen within {seconds} s"),
    "seconds-exact": ("{n}초", "{n} s"),
}


# A part of a request, as the API names it → Korean. What is not here is shown as it is.
PLACES: Mapping[str, str] = {
    "address": "메인 스트림 주소",
    "answer": "판정",
    "behavior": "행동",
    "behaviors": "행동",
    "camera": "카메라",
    "cameras": "카메라",
    "days": "요일",
    "end": "끝 시각",
    "end_at": "끝 시각",
    "hours": "감시 시간",
    "masks": "마스크",
    "minutes": "분",
    "month": "달",
    "name": "이름",
    "new": "새 비밀번호",
    "note": "메모",
    "password": "비밀번호",
    "polygon": "꼭짓점 (3개 이상)",
    "post_roll_s": "사고 뒤 녹화",
    "pre_roll_s": "사고 전 녹화",
    "role": "역할",
    "since": "부터",
    "start": "시작 시각",
    "start_at": "시작 시각",
    "sub": "서브 스트림 주소",
    "theta_on": "기준 점수",
    "until": "까지",
    "zones": "구역",
}


# What the audit trail says that somebody did → Korean. What is not here is shown as it is.
DEEDS: Mapping[str, str] = {
    "acknowledged": "사고 확인",
    "added model": "모델 추가",
    "added user": "사용자 추가",
    "answered": "판정",
    "began challenge": "나란히 시험 시작",
    "changed language": "언어 변경",
    "changed password": "비밀번호 변경",
    "changed user": "사용자 변경",
    "changed setting": "설정 변경",
    "ended challenge": "나란히 시험 끝냄",
    "ended sessions": "로그인 모두 끝냄",
    "escalated": "다음 단계로 전파",
    "exported feedback": "학습 자료 내보내기",
    "exported incidents": "사고 내보내기",
    "exported overview": "현황 내보내기",
    "locked": "증거 잠금",
    "logged in": "로그인",
    "logged out": "로그아웃",
    "log-in failed": "로그인 실패",
    "made token": "토큰 만듦",
    "promoted model": "이 모델로 감시",
    "put camera": "카메라 저장",
    "removed camera": "카메라 삭제",
    "put target": "알림 대상 저장",
    "removed target": "알림 대상 삭제",
    "reset setting": "설정 되돌림",
    "removed model": "모델 삭제",
    "removed token": "토큰 삭제",
    "removed user": "사용자 삭제",
    "reported": "놓친 사고·정상 신고",
    "reset password": "비밀번호 다시 정함",
    "rolled back model": "이전 모델로 되돌림",
    "set up": "첫 관리자 만듦",
    "shelved": "알림 보류",
    "took back report": "신고 취소",
    "tried camera": "카메라 시험",
    "tried target": "알림 시험",
    "unlocked": "잠금 해제",
    "unshelved": "보류 끝냄",
    "viewed evidence": "증거 보기",
    "viewed live": "실시간 화면 보기",
}


# What the API says at a field of a form → Korean. What is not here is shown as it is.
FIELD_PROBLEMS: Mapping[str, str] = {
    "missing; give it a value": "값을 넣으십시오.",
    "a webhook takes an http:// or https:// address": "웹훅 주소는 http:// 또는 https://로 시작합니다.",
    "a webhook is signed; give it a secret": "웹훅은 서명합니다. 비밀 값을 넣으십시오.",
    "a broker is mqtt://host:1883 or mqtts://host:8883": (
        "브로커 주소는 mqtt://호스트:1883 또는 mqtts://호스트:8883입니다."
    ),
    "its host is not known; check the name, or give an IP": (
        "호스트를 찾을 수 없습니다. 이름을 확인하거나 IP를 넣으십시오."
    ),
    "it leads to this machine itself; put this target into jikimi.toml, or set local_targets of [serve]": (
        "이 컴퓨터 자신의 주소입니다. jikimi.toml에 적거나 [serve] local_targets를 켜십시오."
    ),
    "it leads to no single machine of this network; give the receiver's own address": (
        "이 네트워크의 한 컴퓨터를 가리키지 않습니다. 받는 쪽의 주소를 넣으십시오."
    ),
    "it leads to a reserved address; give the receiver's own address": (
        "쓸 수 없는 예약된 주소입니다. 받는 쪽의 주소를 넣으십시오."
    ),
    "the url is not an http:// or https:// address; correct it": "http:// 또는 https:// 주소가 아닙니다.",
    "the url is not mqtt://host:1883 or mqtts://host:8883; correct it": (
        "mqtt://호스트:1883 또는 mqtts://호스트:8883이 아닙니다."
    ),
    "Apprise does not understand the url; see its wiki for the service's form": (
        "Apprise가 모르는 주소입니다. 서비스별 주소 형식은 Apprise 위키에 있습니다."
    ),
    "each list names a target; take the empty one out": (
        "빈 줄이 있습니다. 알림 대상을 고르거나 줄을 지우십시오."
    ),
}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language, and how it writes names and moments; `zone` None is the machine's."""

    language: Language
    zone: tzinfo | None = None
    behaviors: Sequence[Behavior] = ()

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key. Raises KeyError for one that is not in `WORDS`."""
        return WORDS[key][LANGUAGES.index(self.language)].format(**values)

    def behavior(self, key: str) -> str:
        """A behaviour's name; one that no model here knows keeps its key."""
        found = next((b for b in self.behaviors if b.key == key), None)
        if found is None:
            return key
        return found.korean if self.language == "ko" else found.english

    def fault(self, kind: str) -> str:
        """A kind of fault in words."""
        return fault_name(kind, self.language)

    def deed(self, what: str) -> str:
        """What somebody did, as the audit trail has it, in words."""
        return DEEDS.get(what, what) if self.language == "ko" else what

    def field_problem(self, text: str) -> str:
        """What is wrong with a field, as the API says it, in words."""
        return FIELD_PROBLEMS.get(text, text) if self.language == "ko" else text

    def problem(self, code: str, values: Mapping[str, str]) -> str:
        """Why the API refused. Raises KeyError for a code that it does not have."""
        shown = dict(values)
        if self.language == "ko":
            shown |= {key: self(f"role-{shown[key]}") for key in ("role", "needed") if key in shown}
            if "place" in shown:
                shown["place"] = ", ".join(map(_place, shown["place"].split(", ")))
        words = PROBLEMS[code][LANGUAGES.index(self.language)]
        return (words[:1].upper() + words[1:]).format(**shown)  # a name keeps its own letters

    def state(self, camera: Mapping[str, Any]) -> str:
        """A camera's state, as its status has it."""
        if camera["off_duty"]:
            return self("off-duty")
        return self("state-live" if camera["state"] == "live" else camera["state"])

    def span(self, seconds: float) -> str:
        """A length of time in its largest fitting unit."""
        for key, size_s in (("days-n", 86400), ("hours-n", 3600), ("minutes", 60)):
            if seconds >= 2 * size_s:
                return self(key, n=f"{seconds / size_s:.0f}")
        return self("seconds", n=f"{seconds:.0f}")

    def lasted(self, began_at: str, ended_at: str | None) -> str:
        """How long something lasted, between two moments in ISO 8601; None: it still does."""
        if ended_at is None:
            return self("lasts")
        return self.span(
            (datetime.fromisoformat(ended_at) - datetime.fromisoformat(began_at)).total_seconds()
        )

    def local(self, at: str) -> str:
        """A moment in ISO 8601 on the plant's clock, without its zone: browsers draw it as it stands."""
        return datetime.fromisoformat(at).astimezone(self.zone).replace(tzinfo=None).isoformat()

    def offset(self) -> timedelta:
        """How far the plant's clock is ahead of UTC now."""
        return datetime.now(UTC).astimezone(self.zone).utcoffset() or timedelta()

    def moment(self, at: datetime, *, seconds: bool = True) -> str:
        """A moment in plant time."""
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def _place(place: str) -> str:
    """Where in a request something is wrong, in Korean where there are words: zones.0.name → 구역 1 이름."""
    parts = [part for part in place.split(".") if part not in ("body", "query", "path")]
    return " ".join(str(int(part) + 1) if part.isdecimal() else PLACES.get(part, part) for part in parts)


def preferred(accepted: str, *, fallback: Language = "ko") -> Language:
    """The language a browser prefers by its Accept-Language header."""
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accepted.split(",")):
        name, _, parameters = part.strip().partition(";")
        base = name.strip().lower().partition("-")[0]
        if base in LANGUAGES:
            ranked.append((-_quality(parameters), place, "ko" if base == "ko" else "en"))
    return min(ranked)[2] if ranked else fallback


def _quality(parameters: str) -> float:
    key, _, value = parameters.strip().partition("=")
    try:
        return float(value) if key.strip() == "q" else 1.0
    except ValueError:
        return 0.0
