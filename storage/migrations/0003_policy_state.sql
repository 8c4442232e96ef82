CREATE TABLE `policy_state` (
	`kind` text NOT NULL,
	`key` text NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`count` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`note` text NOT NULL,
	PRIMARY KEY(`kind`, `key`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `policy_state_expires` ON `policy_state` (`expires_at`);