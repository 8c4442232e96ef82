CREATE TABLE `auth_report_rows` (
	`report_id` integer NOT NULL,
	`position` integer NOT NULL,
	`source` text NOT NULL,
	`count` integer NOT NULL,
	`result` text NOT NULL,
	`detail` text NOT NULL,
	PRIMARY KEY(`report_id`, `position`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `auth_reports` (
	`id` integer PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`domain` text NOT NULL,
	`organization` text NOT NULL,
	`report_id` text NOT NULL,
	`sender` text NOT NULL,
	`begin_at` integer NOT NULL,
	`end_at` integer NOT NULL,
	`received_at` integer NOT NULL,
	`policy` text NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `auth_reports_once` ON `auth_reports` (`kind`,`domain`,`sender`,`report_id`);--> statement-breakpoint
CREATE INDEX `auth_reports_domain` ON `auth_reports` (`domain`,`end_at`);--> statement-breakpoint
CREATE INDEX `auth_reports_received` ON `auth_reports` (`received_at`);--> statement-breakpoint
CREATE TABLE `dkim_keys` (
	`domain` text NOT NULL,
	`selector` text NOT NULL,
	`kind` text NOT NULL,
	`private_key` text NOT NULL,
	`public_key` text NOT NULL,
	`state` text NOT NULL,
	`created_at` integer NOT NULL,
	`changed_at` integer NOT NULL,
	PRIMARY KEY(`domain`, `selector`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `dmarc_observed` (
	`day` integer NOT NULL,
	`policy_domain` text NOT NULL,
	`row` text NOT NULL,
	`count` integer NOT NULL,
	PRIMARY KEY(`day`, `policy_domain`, `row`)
) STRICT, WITHOUT ROWID;
