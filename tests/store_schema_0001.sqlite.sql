-- Schema 1, filled by store_values.fill; made with sqlite3's iterdump.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	who VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	about VARCHAR NOT NULL, 
	details JSON NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,'2026-07-01 03:00:00.123456','kim','shelve','프레스 2','{"hours": 1}');
CREATE TABLE cameras (
	name VARCHAR NOT NULL, 
	settings JSON NOT NULL, 
	address VARCHAR NOT NULL, 
	sub VARCHAR, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_cameras PRIMARY KEY (name)
);
INSERT INTO "cameras" VALUES('press-3','{"name": "press-3", "transport": "tcp", "enabled": true, "behaviors": null, "theta_on": {}, "zones": [], "masks": [], "hours": [], "pre_roll_s": null, "post_roll_s": null}','v1.11fa70fa.AOFrK-RLFL8G3vVRbwufR3KRvalAEdWgZRCIAi0aZrTHfZEMjBNKel3sfPoxz8ryvtdCcdWNml-kD7UT7m9gALM=','v1.11fa70fa.xzJq9B5C1CFkabg1A6ad5q6V53yLOaxS8LCmk3FxRPUtL81QrIyAYvD8hax7xjs9R_tycteQ2SBLxPG-WVvHZw==','2026-07-01 03:00:00.123456');
INSERT INTO "cameras" VALUES('프레스 2','{"name": "\ud504\ub808\uc2a4 2", "transport": "tcp", "enabled": true, "behaviors": null, "theta_on": {}, "zones": [{"name": "\ubca8\ud2b8", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}], "masks": [], "hours": [], "pre_roll_s": null, "post_roll_s": null}','v1.11fa70fa.d864gbAeVQpZHYo4rwkf34wEH_jXebicKL2A-VTHIYXdIclyid0EGC2jBCBCOuXJgKmXHf4YMqqVqpBgEEFNd_8=',NULL,'2026-07-01 03:00:00.123456');
CREATE TABLE shelves (
	camera VARCHAR NOT NULL, 
	until DATETIME NOT NULL, 
	"by" VARCHAR NOT NULL, 
	CONSTRAINT pk_shelves PRIMARY KEY (camera)
);
INSERT INTO "shelves" VALUES('프레스 2','2026-07-01 04:00:00.123456','kim');
CREATE TABLE coverage (
	camera VARCHAR NOT NULL, 
	hour DATETIME NOT NULL, 
	seen_s FLOAT NOT NULL, 
	due_s FLOAT NOT NULL, 
	CONSTRAINT pk_coverage PRIMARY KEY (camera, hour)
);
INSERT INTO "coverage" VALUES('press-3','2026-07-01 03:00:00.000000',3500.5,3600.0);
CREATE TABLE evidence (
	path VARCHAR NOT NULL, 
	incident VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	created_at DATETIME NOT NULL, 
	start_s FLOAT NOT NULL, 
	end_s FLOAT NOT NULL, 
	complete BOOLEAN NOT NULL, 
	problem VARCHAR NOT NULL, 
	deleted_at DATETIME, 
	CONSTRAINT pk_evidence PRIMARY KEY (path), 
	CONSTRAINT fk_evidence_incident FOREIGN KEY(incident) REFERENCES incidents (uid)
);
INSERT INTO "evidence" VALUES('2026/07/i1.mp4','i1','video','abababababababababababababababababababababababababababababababab',8589934592,'2026-07-01 03:00:00.123456',0.0,20.0,1,'',NULL);
CREATE TABLE faults (
	uid VARCHAR NOT NULL, 
	camera VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	message VARCHAR NOT NULL, 
	began_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	CONSTRAINT pk_faults PRIMARY KEY (uid)
);
INSERT INTO "faults" VALUES('f1','press-3','offline','no frame for 10 s','2026-07-01 03:00:00.123456',NULL);
CREATE TABLE incidents (
	uid VARCHAR NOT NULL, 
	camera VARCHAR NOT NULL, 
	zone VARCHAR NOT NULL, 
	behavior VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	peak FLOAT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	closed_at DATETIME, 
	acknowledged_at DATETIME, 
	acknowledged_by VARCHAR NOT NULL, 
	answer VARCHAR, 
	answered_by VARCHAR NOT NULL, 
	answer_behavior VARCHAR NOT NULL, 
	answer_note VARCHAR NOT NULL, 
	locked BOOLEAN NOT NULL, 
	escalations INTEGER NOT NULL, 
	escalated_at DATETIME, 
	CONSTRAINT pk_incidents PRIMARY KEY (uid)
);
INSERT INTO "incidents" VALUES('i1','press-3','belt','fall','demo',0.9,'2026-07-01 03:00:00.123456','2026-07-01 03:00:30.123456','2026-07-01 03:01:30.123456','lee','other-behavior','lee','jam','기계 걸림',1,0,NULL);
INSERT INTO "incidents" VALUES('i2','press-3','belt','fall','demo',0.7,'2026-07-01 03:01:00.123456',NULL,NULL,'',NULL,'','','',0,1,'2026-07-01 03:03:20.123456');
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('cameras-version','f51b6eb420024c92a88bb452ff2234a3');
INSERT INTO "meta" VALUES('evidence-head','abababababababababababababababababababababababababababababababab');
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	uid VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	payload JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, 
	created_at DATETIME NOT NULL, 
	delivered_at DATETIME, 
	last_error VARCHAR NOT NULL, 
	CONSTRAINT pk_outbox PRIMARY KEY (id), 
	CONSTRAINT uq_outbox_key UNIQUE ("key")
);
INSERT INTO "outbox" VALUES(1,'i1:opened:phone','phone','incident','i1','opened','{"text": "\ub118\uc5b4\uc9d0", "score": 0.7}','delivered',1,'2026-07-01 03:00:00.123456','2026-07-01 03:00:00.123456','2026-07-01 03:00:01.123456','');
INSERT INTO "outbox" VALUES(2,'i2:opened:phone','phone','incident','i2','opened','{"text": "\ub118\uc5b4\uc9d0", "score": 0.7}','due',1,'2026-07-01 03:01:31.123456','2026-07-01 03:01:00.123456',NULL,'timed out');
INSERT INTO "outbox" VALUES(3,'i2:escalated:siren','siren','incident','i2','opened','{"text": "\ub118\uc5b4\uc9d0", "score": 0.7}','due',0,'2026-07-01 03:03:20.123456','2026-07-01 03:03:20.123456',NULL,'');
CREATE TABLE transitions (
	id INTEGER NOT NULL, 
	incident VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	score FLOAT, 
	"by" VARCHAR NOT NULL, 
	details JSON NOT NULL, 
	CONSTRAINT pk_transitions PRIMARY KEY (id), 
	CONSTRAINT fk_transitions_incident FOREIGN KEY(incident) REFERENCES incidents (uid)
);
INSERT INTO "transitions" VALUES(1,'i1','opened','2026-07-01 03:00:00.123456',0.7,'','{}');
INSERT INTO "transitions" VALUES(2,'i2','opened','2026-07-01 03:01:00.123456',0.7,'','{}');
INSERT INTO "transitions" VALUES(3,'i2','escalated','2026-07-01 03:03:20.123456',NULL,'','{}');
INSERT INTO "transitions" VALUES(4,'i1','closed','2026-07-01 03:00:30.123456',0.2,'','{}');
INSERT INTO "transitions" VALUES(5,'i1','answered','2026-07-01 03:01:30.123456',NULL,'lee','{"answer": "other-behavior", "behavior": "jam", "note": "\uae30\uacc4 \uac78\ub9bc"}');
INSERT INTO "transitions" VALUES(6,'i1','locked','2026-07-01 03:01:35.123456',NULL,'lee','{}');
CREATE INDEX ix_incidents_opened_at_uid ON incidents (opened_at, uid);
CREATE INDEX ix_incidents_camera_opened_at_uid ON incidents (camera, opened_at, uid);
CREATE INDEX ix_incidents_answer_opened_at ON incidents (answer, opened_at);
CREATE INDEX ix_incidents_closed_at ON incidents (closed_at);
CREATE INDEX ix_incidents_acknowledged_at_escalations_opened_at ON incidents (acknowledged_at, escalations, opened_at);
CREATE INDEX ix_incidents_locked ON incidents (locked);
CREATE INDEX ix_transitions_incident ON transitions (incident);
CREATE INDEX ix_evidence_incident ON evidence (incident);
CREATE INDEX ix_outbox_state_next_at ON outbox (state, next_at);
CREATE INDEX ix_outbox_target_state ON outbox (target, state);
CREATE INDEX ix_outbox_uid ON outbox (uid);
CREATE INDEX ix_faults_camera_began_at ON faults (camera, began_at);
CREATE INDEX ix_faults_began_at ON faults (began_at);
CREATE INDEX ix_faults_ended_at ON faults (ended_at);
CREATE INDEX ix_coverage_hour ON coverage (hour);
COMMIT;
