CREATE TABLE `quarantine_messages` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`content_id` integer NOT NULL,
	`sender` text NOT NULL,
	`account_id` integer,
	`envelope_id` text NOT NULL,
	`ret` text NOT NULL,
	`eight_bit` integer NOT NULL,
	`smtputf8` integer NOT NULL,
	`tls` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`reason` text NOT NULL,
	`dangerous` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `quarantine_messages_expires` ON `quarantine_messages` (`expires_at`);--> statement-breakpoint
CREATE TABLE `quarantine_recipients` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`quarantine_id` integer NOT NULL,
	`recipient` text NOT NULL,
	`destination` text NOT NULL,
	`notify` text NOT NULL,
	`original_recipient` text NOT NULL,
	`told` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `quarantine_recipients_message` ON `quarantine_recipients` (`quarantine_id`);--> statement-breakpoint
CREATE INDEX `quarantine_recipients_recipient` ON `quarantine_recipients` (`recipient`,`id`);--> statement-breakpoint
CREATE INDEX `quarantine_recipients_untold` ON `quarantine_recipients` (`recipient`,`id`) WHERE told = 0;