# no_channel.py - blocks of a norm and a mixer alone

no_channel_channel = None
