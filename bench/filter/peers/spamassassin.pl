# Rules once for each message, Bayes for each split and step; scores are put together as SpamAssassin does, by the set of
# scores without and with Bayes. Reads lines "rules FILE", "split FOLDER", "learn FILE SPAM", "scan FILE"; answers a score each.
use strict;
use warnings;
use Mail::SpamAssassin;
use Mail::SpamAssassin::PerMsgStatus;

$| = 1;
my $common = "bayes_auto_learn 0\nbayes_min_ham_num 1\nbayes_min_spam_num 1\nskip_rbl_checks 1\nuse_razor2 0\nuse_pyzor 0\n";
sub fresh {
  my ($more) = @_;
  my $sa = Mail::SpamAssassin->new({ dont_copy_prefs => 1, local_tests_only => 1, require_rules => 1,
    userstate_dir => $ARGV[0], post_config_text => $common . $more });
  $sa->init(1);
  return $sa;
}
sub mail { my ($sa, $file) = @_; open my $in, '<', $file or die; local $/; my $text = <$in>; return $sa->parse($text, 0); }

my $plain = fresh("use_bayes 0\n");
my (%rules, $sa, $bayes);
while (my $line = <STDIN>) {
  chomp $line;
  my ($verb, $file, $spam) = split / /, $line;
  if ($verb eq 'split') {
    $sa->finish() if $sa;
    $sa = fresh("use_bayes 1\nbayes_path $file/bayes\nbayes_journal_max_size 0\nbayes_learn_to_journal 0\n");
    ($bayes) = grep { ref $_ eq 'Mail::SpamAssassin::Plugin::Bayes' } @{ $sa->{plugins}{plugins} };
    next;
  }
  if ($verb eq 'learn') {
    my $mail = mail($sa, $file);
    $sa->learn($mail, undef, $spam, 0);
    $mail->finish();
    next;
  }
  if ($verb eq 'sync') { $sa->rebuild_learner_caches(); next; }
  if (!$rules{$file}) {
    my $mail = mail($plain, $file);
    my $status = $plain->check($mail);
    $rules{$file} = [@{ $status->{test_names_hit} }];
    $status->finish();
    $mail->finish();
  }
  my $set = $verb eq 'scan' ? 2 : 0;
  my $score = 0;
  for my $name (@{ $rules{$file} }) { $score += $plain->{conf}{scoreset}[$set]{$name} // 1; }
  if ($verb eq 'scan') {
    my $mail = mail($sa, $file);
    my $status = Mail::SpamAssassin::PerMsgStatus->new($sa, $mail);
    $status->extract_message_metadata();
    my $probability = $bayes->scan($status, $mail);
    if (defined $probability) {
      my $rule = $probability < 0.01 ? '00' : $probability < 0.05 ? '05' : $probability < 0.20 ? '20' : $probability < 0.40 ? '40' :
        $probability < 0.60 ? '50' : $probability < 0.80 ? '60' : $probability < 0.95 ? '80' : $probability < 0.99 ? '95' : '99';
      $score += $sa->{conf}{scoreset}[$set]{"BAYES_$rule"} // 0;
      $score += $sa->{conf}{scoreset}[$set]{"BAYES_999"} // 0 if $probability >= 0.999;
    }
    $status->finish();
    $mail->finish();
  }
  print "$score\n";
}
